"""How well labels are grounded, measured on the ids that archives give beside them.

Run: python -m benchmarks.grounding [--ontologies DIR]      DIR keeps the compiled ontologies for the next run

Gold: every distinct (field, label, id) of a field with an ontology, in all tables and study records. The id is hidden,
the label grounded, and the terms compared with the id's.

- An id stands for its current term (alternative and replaced ids are followed). A pair whose id no loaded ontology has
  is left out, and counted.
- A term of another ontology is the same thing only where the label of one is the label or an exact synonym of the
  other, whatever the case, punctuation, spaces and a last word "cell" or "cell line": EFO's `HeLa`, CLO's `HeLa cell`.
- A phenotype's label is its `Term Name`. The author's own words beside it are scored apart: they are no names.
- A column of a table in which one label carries more than 20 ids was filled by dragging in a spreadsheet and is left
  out. It is the second measurement: of its false ids, those that count up from the label's first, how many are noted
  `id_label_conflict`. And of the other pairs, how many are noted so.
- Some ids are not of what the label names: lists parted at their commas and paired by position, a typing error, a
  broader or narrower term. Three readers, two of them blind to the answers, read every pair whose label is not the
  id's label or exact synonym; those that two of them found false are in `grounding_false_ids.tsv` (the term, and a
  digest of the label) and left out; the last columns count them too.
- A label without letters, a stage's number, is no name. Spellings of one label and of one id are one pair.
- Of several ids of one value, one that is not answered while another one is counts as missed, not as wrong.

Precision is right / answered, recall right / all, over distinct (label, id) pairs; "cells" weighs a pair by its cells.
"""

import argparse
import csv
import io
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import chain
from pathlib import Path

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import TermId, Value
from hooke.settings import read_settings
from hooke.text import fold
from indexer.dragged import Dragged
from indexer.sources import Input, Quarantined, Source, discover, read_images, read_studies
from indexer.sources.base import decode, documents
from ontologies.catalogue import Catalogue
from ontologies.ground import ground
from ontologies.ids import prefix_of
from ontologies.model import Scope
from ontologies.names import normal
from ontologies.snapshot import add_ontologies

ONTOLOGIES = (
    "ncbitaxon-taxslim.obo.gz",
    "fbbi.obo.gz",
    "czi-json/UBERON-ontology-v2026-04-01.json.zst",
    "fbbt-simple-2013.obo.gz",
    "wbbt.obo.gz",
    "zfa.obo.gz",
    "po.obo.gz",
    "cl-basic.obo.gz",
    "clo-lincs-view.owl.gz",
    "czi-json/EFO-ontology-v3.90.0.json.zst",
    "czi-json/CVCL-ontology-55.0.json.zst",
    "go-2013.obo.gz",
    "doid-ncit-slim.obo.gz",
    "cmpo.obo.gz",
    "pato.obo.gz",
)
"""The shared data's ontologies for the fields of `hooke.fields`, the newest of each."""

DRAGGED = 20
"""Ids of one label in one column of a table, beyond which the column was filled by dragging."""
OWN_WORDS = "phenotype, own words"
ALL = "all"
_REVIEWED = Path(__file__).with_name("grounding_false_ids.tsv")
Reviewed = tuple[TermId, str]
_FIELDS = {
    **{name: name for name in ONTOLOGY_FIELDS},
    "gene_ontology": "cellular_component",
    OWN_WORDS: "phenotype",
}
"""The fields that are scored, with that which a label is grounded as: a crate does not tell the aspect of GO terms."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A label and an id that an archive gives it; others: the value's further ids; dragged: as the row above tells."""

    field: str
    label: str
    id: str
    others: tuple[str, ...] = ()
    dragged: bool = False


@dataclass(slots=True)
class Gold:
    """Pairs by their cells: those to score, and the false ones of dragged columns."""

    pairs: Counter[Pair] = field(default_factory=Counter)
    dragged: Counter[Pair] = field(default_factory=Counter)


class Outcome(StrEnum):
    """What became of a pair whose id was hidden."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSED = "missed"
    NO_ONTOLOGY = "id not loaded"


@dataclass(slots=True)
class Score:
    """Pairs by what became of them; weights are 1 a pair, or its cells."""

    counts: Counter[Outcome] = field(default_factory=Counter)

    @property
    def precision(self) -> float:
        """Right of answered; 1 where nothing was answered."""
        answered = self.counts[Outcome.RIGHT] + self.counts[Outcome.WRONG]
        return self.counts[Outcome.RIGHT] / answered if answered else 1.0

    @property
    def recall(self) -> float:
        """Right of all whose id is loaded."""
        return self.counts[Outcome.RIGHT] / self.total if self.total else 0.0

    @property
    def total(self) -> int:
        """All whose id is loaded."""
        return sum(self.counts.values()) - self.counts[Outcome.NO_ONTOLOGY]


Miss = tuple[Outcome, Pair, int]
"""A pair that was not right, with its cells."""


@dataclass(frozen=True, slots=True)
class Flags:
    """Cells of dragged columns noted as conflicts, of all; other pairs noted so, of all."""

    caught: int
    dragged: int
    flagged: tuple[Pair, ...]
    pairs: int


def read_gold(metadata: Path) -> Gold:
    """The pairs in all tables and study records of a folder."""
    gold = Gold()
    inputs = discover([metadata], quarantine=_pass_over).inputs
    names = {name for source in inputs for name in _phenotype_names(source)}
    for source in inputs:
        pairs: Counter[Pair] = Counter()
        for value, cells in Counter(_values(source)).items():
            for pair in _pairs(value, names):
                pairs[pair] += cells
        kept, false = _without_dragged(pairs) if source.source is Source.IDR_TABLE else (pairs, Counter())
        gold.pairs.update(kept)
        gold.dragged.update(false)
    return gold


def _pass_over(_: Quarantined) -> None:
    """What cannot be read has no pairs."""


def _values(source: Input) -> Iterator[Value]:
    """The values with ids of every record, in fields with an ontology; dragged ones are marked."""
    images = map(Dragged().marked, read_images(source, _pass_over))
    studies = read_studies(source, _pass_over)
    for values in chain((study.values for study in studies), (image.values for image in images)):
        yield from (value for value in values if value.ids and value.field in _FIELDS)


def _phenotype_names(source: Input) -> Iterator[str]:
    """The cells of `Phenotype … Term Name`, of tables and of study files."""
    if source.source not in (Source.IDR_TABLE, Source.IDR_STUDY):
        return
    for document in documents(source.path, lambda _name, _start: True, _pass_over):
        text = decode(document.data)
        if source.source is Source.IDR_STUDY:
            rows = re.findall(r"^Phenotype Term Name\t(.*)$", text, flags=re.MULTILINE)
            yield from (cell.strip(' "') for row in rows for cell in row.split("\t"))
        else:
            header, *rows_ = csv.reader(io.StringIO(text, newline=""))
            columns = [n for n, label in enumerate(header) if re.match(r"Phenotype.* Term.* Name", label)]
            yield from (row[column].strip() for row in rows_ for column in columns if column < len(row))


def _pairs(value: Value, phenotype_names: set[str]) -> Iterator[Pair]:
    own = value.field == "phenotype" and value.text not in phenotype_names
    for identifier in value.ids:
        # A value without a text of its own has its id for one.
        if value.text != identifier and re.search(r"[^\W\d_]", value.text):
            others = tuple(other for other in value.ids if other != identifier)
            yield Pair(OWN_WORDS if own else value.field, value.text, identifier, others, value.dragged)


def _without_dragged(pairs: Counter[Pair]) -> tuple[Counter[Pair], Counter[Pair]]:
    """The pairs of columns that were not dragged, and the false pairs of those that were."""
    ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for pair in pairs:
        ids[pair.field, pair.label].add(pair.id)
    first = {label: min(given, key=_number) for label, given in ids.items() if len(given) > DRAGGED}
    columns = {name for name, _ in first}
    kept = Counter({pair: cells for pair, cells in pairs.items() if pair.field not in columns})
    false = {pair: cells for pair, cells in pairs.items() if first.get((pair.field, pair.label), pair.id) != pair.id}
    return kept, Counter(false)


def _number(identifier: str) -> int:
    return int("".join(re.findall(r"\d+", identifier)) or 0)


def merged(pairs: Counter[Pair], catalogue: Catalogue) -> Counter[Pair]:
    """The pairs with spellings of one label and of one id put together under the first of them."""
    first: dict[tuple[str, str, str], Pair] = {}
    together: Counter[Pair] = Counter()
    for pair, cells in sorted(pairs.items(), key=lambda pair: not pair[0].dragged):
        found = catalogue.resolve(pair.id, prefixes=ONTOLOGY_FIELDS[_FIELDS[pair.field]])
        together[first.setdefault((pair.field, fold(pair.label), found.term if found else pair.id), pair)] += cells
    return together


def judge(pair: Pair, catalogue: Catalogue) -> Outcome:
    """Ground the label of a pair alone, and compare."""
    prefixes = ONTOLOGY_FIELDS[_FIELDS[pair.field]]
    wanted = catalogue.resolve(pair.id, prefixes=prefixes)
    if wanted is None:
        return Outcome.NO_ONTOLOGY
    mentions, _ = ground(Value(_FIELDS[pair.field], pair.label), catalogue)
    found = {mention.term for mention in mentions}
    if any(same(term, wanted.term, catalogue) for term in found):
        return Outcome.RIGHT
    others = [other for given in pair.others if (other := catalogue.resolve(given, prefixes=prefixes))]
    answered = any(same(term, other.term, catalogue) for term in found for other in others)
    return Outcome.MISSED if answered or not found else Outcome.WRONG


def same(term: TermId, other: TermId, catalogue: Catalogue) -> bool:
    """Whether two terms are one, or one thing in two ontologies by the rule above."""
    if term == other or prefix_of(term) == prefix_of(other):
        return term == other
    label, names = _names(term, catalogue)
    other_label, other_names = _names(other, catalogue)
    return label in other_names or other_label in names


def _names(term: TermId, catalogue: Catalogue) -> tuple[str, set[str]]:
    described = catalogue.term(term)
    exact = (synonym.text for synonym in described.synonyms if synonym.scope is Scope.EXACT)
    names = (re.sub(r" cell( line)?$", "", normal(name)) for name in (described.label, *exact))
    label, *synonyms = (name.replace(" ", "") for name in names)
    return label, {label, *synonyms}


def flags(gold: Gold, false: frozenset[Reviewed], catalogue: Catalogue) -> Flags:
    """How many dragged cells are noted as conflicts, and which pairs are that were not reviewed as false."""
    caught = sum(cells for pair, cells in gold.dragged.items() if conflicts(pair, catalogue))
    pairs = [
        pair
        for pair in merged(gold.pairs, catalogue)
        if pair.field != OWN_WORDS and reviewed(pair, catalogue) not in false
    ]
    flagged = tuple(pair for pair in pairs if conflicts(pair, catalogue))
    return Flags(caught, gold.dragged.total(), flagged, len(pairs))


def conflicts(pair: Pair, catalogue: Catalogue) -> bool:
    """Whether a pair as submitted is noted `id_label_conflict`."""
    value = Value(_FIELDS[pair.field], pair.label, (pair.id, *pair.others), dragged=pair.dragged)
    mentions, _ = ground(value, catalogue)
    return any(mention.note == "id_label_conflict" for mention in mentions)


def reviewed(pair: Pair, catalogue: Catalogue) -> Reviewed:
    """What stands for a pair in the list of reviewed ones: the term, and a digest of the label."""
    found = catalogue.resolve(pair.id, prefixes=ONTOLOGY_FIELDS[_FIELDS[pair.field]])
    return found.term if found else pair.id, blake2b(fold(pair.label).encode(), digest_size=6).hexdigest()


def read_reviewed() -> frozenset[Reviewed]:
    """The pairs whose id is not of the thing that the label names, as a person found them."""
    with _REVIEWED.open(encoding="utf-8", newline="") as file:
        return frozenset((row["term"], row["label_digest"]) for row in csv.DictReader(file, delimiter="\t"))


def scores(
    gold: Gold, false: frozenset[Reviewed], catalogue: Catalogue
) -> tuple[dict[str, Score], dict[str, Score], list[Miss]]:
    """By field, the score over pairs and over cells, without those reviewed as false; and what was not right."""
    pairs: defaultdict[str, Score] = defaultdict(Score)
    cells: defaultdict[str, Score] = defaultdict(Score)
    misses: list[Miss] = []
    for pair, weight in merged(gold.pairs, catalogue).items():
        if reviewed(pair, catalogue) in false:
            continue
        outcome = judge(pair, catalogue)
        if outcome in (Outcome.WRONG, Outcome.MISSED):
            misses.append((outcome, pair, weight))
        for name in (pair.field,) if pair.field == OWN_WORDS else (pair.field, ALL):
            pairs[name].counts[outcome] += 1
            cells[name].counts[outcome] += weight
    return dict(pairs), dict(cells), sorted(misses, key=lambda miss: (miss[1].field, miss[0], -miss[2]))


def open_ontologies(shared_data: Path, root: Path) -> Catalogue:
    """The ontologies compiled under root, or as they were compiled there before."""
    return Catalogue.open(root, add_ontologies([shared_data / "ontologies" / name for name in ONTOLOGIES], root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ontologies", type=Path, help="keep the compiled ontologies here")
    parser.add_argument("--misses", action="store_true", help="list the pairs that were not grounded to their id")
    arguments = parser.parse_args()
    data = read_settings().shared_data
    if not data.is_dir():
        sys.exit(f"no real data in {data}; set HOOKE_SHARED_DATA")
    with (
        tempfile.TemporaryDirectory() as scratch,
        closing(open_ontologies(data, arguments.ontologies or Path(scratch))) as catalogue,
    ):
        _report(read_gold(data / "metadata"), catalogue, misses=arguments.misses)


def _report(gold: Gold, catalogue: Catalogue, *, misses: bool) -> None:
    reviewed_false = read_reviewed()
    raw, _, _ = scores(gold, frozenset(), catalogue)
    pairs, cells, missed = scores(gold, reviewed_false, catalogue)
    print(
        "field                 pairs precision recall  cells: precision recall  not loaded  with false ids: pairs P R"
    )
    for name in sorted(pairs, key=lambda name: (name in (ALL, OWN_WORDS), name)):
        score, weighed, before = pairs[name], cells[name], raw[name]
        print(
            f"{name:21} {score.total:5}  {score.precision:.4f}   {score.recall:.4f}         {weighed.precision:.4f}"
            f"    {weighed.recall:.4f}  {score.counts[Outcome.NO_ONTOLOGY]:10}"
            f"           {before.total:8} {before.precision:.4f} {before.recall:.4f}"
        )
    noted = flags(gold, reviewed_false, catalogue)
    print(
        f"dragged cells noted id_label_conflict: {noted.caught} of {noted.dragged} = {noted.caught / noted.dragged:.4f}"
    )
    share = len(noted.flagged) / noted.pairs
    print(f"other pairs noted so: {len(noted.flagged)} of {noted.pairs} = {share:.4f}")
    if misses:
        for outcome, pair, weight in missed:
            print(f"{outcome}\t{pair.field}\t{weight}\t{pair.label}\t{pair.id}")
        for pair in noted.flagged:
            print(f"flagged\t{pair.field}\t{pair.label}\t{pair.id}")


if __name__ == "__main__":
    main()
