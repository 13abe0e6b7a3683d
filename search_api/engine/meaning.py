"""How alike images are in what they are annotated with, by how rare that is in the index."""

from collections.abc import Collection, Sequence

from hooke.errors import BadInput
from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import Level, Record, TermId
from hooke.query import Everything
from hooke.results import QueryReport
from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue
from ontologies.similarity import SemanticSimilarity, closure_counts


def corpus(reader: MetadataReader, catalogue: Catalogue) -> SemanticSimilarity:
    """The comparison of two sets of terms, by how many images of the index have each term or one below it."""
    fields = [field for field in ONTOLOGY_FIELDS if field in reader.fields(Level.IMAGE)]
    counts = reader.count_sets(Level.IMAGE, fields, Everything())
    sets = [
        (held.terms, int(count))
        for field, each in zip(fields, counts, strict=True)
        for held, count in zip(reader.value_sets(Level.IMAGE, field), each, strict=True)
        if held.terms
    ]
    return SemanticSimilarity(catalogue, closure_counts(catalogue, sets), reader.count(Level.IMAGE))


def meant(examples: Sequence[Record], query: QueryReport) -> frozenset[TermId]:
    """The terms that look-alikes are to have: those of the examples, or where they have none, of the text.

    Raises BadInput where neither has any.
    """
    terms = terms_of(examples) or frozenset(term.id for term in query.terms)
    if not terms:
        raise BadInput(
            "semantic: neither the examples nor the text have terms to compare with: "
            "give the id of an annotated image, or text that names a term"
        )
    return terms


def terms_of(records: Collection[Record]) -> frozenset[TermId]:
    """Everything that records are annotated with."""
    return frozenset(mention.term for record in records for mention in record.mentions)
