"""The worklist of curators: what found no term, and whose text and ids disagree, with the terms that may be meant."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from sys import maxsize

from hooke.curation import ANY_IDS, CANDIDATES, Decisions
from hooke.errors import BadInput, UnknownField
from hooke.fields import ONTOLOGY_FIELDS, field_name
from hooke.model import ID_LABEL_CONFLICT, TermId, Unresolved
from hooke.request import MAX_LIMIT
from hooke.results import Candidate, CurationEntry, CurationList
from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue
from ontologies.ground import CONFLICTS
from ontologies.model import Match

DRAGGED = 20
"""Ids beside one text above which a cell was dragged: they are one entry, none is looked at alone."""
_WORDS = 12
"""Words of a text that are looked at for names in it."""

_Counted = tuple[Unresolved, int]


class Curation:
    """The worklist of one snapshot."""

    def __init__(self, reader: MetadataReader, catalogue: Catalogue, decisions: Decisions) -> None:
        self._reader = reader
        self._catalogue = catalogue
        self._decisions = decisions

    def unresolved(self, field: str | None, limit: int) -> CurationList:
        """Values that no term was found for, or more than one. Raises BadInput for what is no limit or field."""
        return self._list([row for row in self._all(field, limit) if row[0].reason != ID_LABEL_CONFLICT], limit)

    def conflicts(self, field: str | None, limit: int) -> CurationList:
        """Values whose text names another term than their ids. Raises BadInput as `unresolved` does."""
        return self._list([row for row in self._all(field, limit) if row[0].reason == ID_LABEL_CONFLICT], limit)

    def _all(self, field: str | None, limit: int) -> list[_Counted]:
        if not 1 <= limit <= MAX_LIMIT:
            raise BadInput(f"limit must be 1 to {MAX_LIMIT}, not {limit}")
        wanted = None if field is None else _ontology_field(field)
        return [row for row in self._reader.unresolved(maxsize) if wanted in (None, row[0].field)]

    def _list(self, rows: list[_Counted], limit: int) -> CurationList:
        together = sorted(_together(rows), key=lambda row: (-row[1], row[0].field, row[0].text, row[0].ids))
        entries = tuple(self._entry(*row) for row in together[:limit])
        return CurationList(len(together), entries, self._reader.snapshot.id)

    def _entry(self, found: Unresolved, records: int) -> CurationEntry:
        candidates = self._named(found) if found.candidates else self._alike(found)
        decision = self._decisions.of(found.field, found.text, found.ids)
        written = decision.written if decision else ""
        return CurationEntry(found.field, found.text, found.ids, records, found.reason, candidates, written)

    def _named(self, found: Unresolved) -> tuple[Candidate, ...]:
        """The terms that grounding hesitated between; those of ids score as ids in conflict do."""
        scores = {match.term: match.score for match in self._catalogue.find(found.text, ONTOLOGY_FIELDS[found.field])}
        terms = found.candidates[:CANDIDATES]
        return tuple(Candidate(t, self._catalogue.label(t), scores.get(t, CONFLICTS)) for t in terms)

    def _alike(self, found: Unresolved) -> tuple[Candidate, ...]:
        """The terms with names like the text, or in it; a name in it counts by its share of the text."""
        prefixes = ONTOLOGY_FIELDS[found.field]
        best: dict[TermId, Candidate] = {}
        ways = (self._catalogue.suggest, self._catalogue.resembling)
        alike = [(match, 1.0) for way in ways for match in way(found.text, CANDIDATES, prefixes)]
        for match, share in (*alike, *self._inside(found.text, prefixes)):
            candidate = Candidate(match.term, match.label, round(match.score * share, 3))
            if match.term not in best or best[match.term].score < candidate.score:
                best[match.term] = candidate
        return tuple(sorted(best.values(), key=lambda candidate: (-candidate.score, candidate.term)))[:CANDIDATES]

    def _inside(self, text: str, prefixes: tuple[str, ...]) -> Iterator[tuple[Match, float]]:
        words = text.split()[:_WORDS]
        for start, end in combinations(range(len(words) + 1), 2):
            phrase = " ".join(words[start:end])
            for match in self._catalogue.find(phrase, prefixes):
                yield match, min(1.0, len(phrase) / len(text))


def _together(rows: Iterable[_Counted]) -> Iterator[_Counted]:
    """Each value once; the ids of a dragged cell as one, with the terms that most of its records have."""
    by_text: defaultdict[tuple[str, str, str], list[_Counted]] = defaultdict(list)
    for row in rows:
        by_text[row[0].field, row[0].text, row[0].reason].append(row)
    for (field, text, reason), group in by_text.items():
        by_ids: defaultdict[tuple[str, ...], list[_Counted]] = defaultdict(list)
        for row in group:
            by_ids[row[0].ids].append(row)
        if len(by_ids) > DRAGGED:
            by_ids = defaultdict(list, {(ANY_IDS,): group})
        for ids, same in by_ids.items():
            yield Unresolved(field, text, ids, reason, _most_common(same)), sum(records for _, records in same)


def _most_common(group: Iterable[_Counted]) -> tuple[TermId, ...]:
    counted: Counter[TermId] = Counter()
    for found, records in group:
        counted.update(dict.fromkeys(found.candidates, records))
    return tuple(term for term, _ in counted.most_common())


def _ontology_field(name: str) -> str:
    plain = field_name(name)
    if plain in ONTOLOGY_FIELDS:
        return plain
    raise UnknownField(f"no field {name!r} is grounded; those are {', '.join(ONTOLOGY_FIELDS)}")
