"""Grounding of everything that comes in: each distinct value once, however many records have it.

What a curator decided comes before all else; what is left for one to decide is counted. Terms that prose names become
values of their own beside the submitter's (`docs/adr/0012`).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from hooke.curation import Decisions
from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import ID_LABEL_CONFLICT, Dataset, Image, Mention, Study, Unresolved, Value
from indexer.decisions import curated
from indexer.prose import Prose
from ontologies.catalogue import Catalogue
from ontologies.ground import ground

_Grounded = tuple[Value, tuple[Unresolved, ...]]


class Annotator:
    """Gives values their mentions, and counts in how many records a value waits for a curator."""

    def __init__(self, catalogue: Catalogue, decisions: Decisions | None = None) -> None:
        self._catalogue = catalogue
        self._decisions = decisions or Decisions()
        self._prose = Prose(catalogue, self._decisions)
        self._known: dict[Value, _Grounded] = {}
        self._seen: dict[int, tuple[Value, _Grounded]] = {}
        self.unresolved: Counter[Unresolved] = Counter()

    def study(self, study: Study) -> Study:
        """A study and its datasets, grounded; its datasets' values are its own too, so they are counted once."""
        datasets = tuple(Dataset(d.name, self._values(d.values, count=False)) for d in study.datasets)
        return self._prose.study(replace(study, values=self._values(study.values), datasets=datasets))

    def image(self, image: Image) -> Image:
        """An image, grounded."""
        return self._prose.image(replace(image, values=self._values(image.values)))

    @property
    def distinct(self) -> int:
        """How many distinct values were grounded."""
        return len(self._known)

    def take_unresolved(self) -> Counter[Unresolved]:
        """What was counted since the last time."""
        taken, self.unresolved = self.unresolved, Counter()
        return taken

    def _values(self, values: Iterable[Value], *, count: bool = True) -> tuple[Value, ...]:
        grounded, waiting = list[Value](), set[Unresolved]()
        for value in values:
            if value.ids or value.field in ONTOLOGY_FIELDS:
                made, unresolved = self._ground(value)
                grounded.append(made)
                waiting.update(unresolved)
            else:
                grounded.append(value)
        if count:
            for odd in waiting:
                self.unresolved[odd] += 1
        return tuple(grounded)

    def _ground(self, value: Value) -> _Grounded:
        # sources repeat the same object: it is found without hashing its text; kept, so that its id() stays its own
        seen = self._seen.get(id(value))
        if seen is not None:
            return seen[1]
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = self._made(value)
        self._seen[id(value)] = (value, known)
        return known

    def _made(self, value: Value) -> _Grounded:
        mentions, unresolved = ground(value, self._catalogue)
        unresolved += _conflict(value, mentions, self._catalogue)
        decided = curated(value, self._decisions, self._catalogue, waits=bool(unresolved))
        if decided is not None:
            mentions, unresolved = decided, ()
        return replace(value, mentions=mentions) if mentions else value, unresolved


def _conflict(value: Value, mentions: tuple[Mention, ...], catalogue: Catalogue) -> tuple[Unresolved, ...]:
    """What a curator is told of a value whose text names another term than its ids: the text's term, then theirs."""
    conflicting = [mention for mention in mentions if mention.note == ID_LABEL_CONFLICT]
    prefixes = ONTOLOGY_FIELDS.get(value.field, ())
    given = (catalogue.resolve(mention.given_id, prefixes=prefixes) for mention in conflicting if mention.given_id)
    terms = (*(mention.term for mention in conflicting), *(found.term for found in given if found))
    return (
        (Unresolved(value.field, value.text, value.ids, ID_LABEL_CONFLICT, tuple(dict.fromkeys(terms))),)
        if terms
        else ()
    )
