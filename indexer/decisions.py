"""What a curator decided: checked against the ontologies when it is accepted, applied when values are grounded."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from sys import maxsize

from hooke.curation import (
    ANY_IDS,
    IN_TEXT,
    NO_TERM,
    Accepted,
    Decision,
    Decisions,
    Key,
    Row,
    joined,
    read_decisions,
    read_rows,
    value_key,
    write_decisions,
)
from hooke.errors import BadInput
from hooke.fields import ONTOLOGY_FIELDS
from hooke.index import existing_index
from hooke.model import Mention, Method, TermId, Unresolved, Value
from hooke.settings import DEFAULT_CLUSTER, ClusterSettings
from hooke.store.choose import open_store
from hooke.store.database import one_writer
from ontologies.catalogue import Catalogue
from ontologies.ids import prefix_of

CURATED = "curated"
"""The note of a mention that a curator decided on."""
_TOLD = 5


def curated(value: Value, decisions: Decisions, catalogue: Catalogue, *, waits: bool) -> tuple[Mention, ...] | None:
    """The mentions that were decided on: () where a value is no term, None where nothing was decided.

    waits: whether the value is on the worklist by itself; a decision on a text whatever its ids is on those only.
    A term that the ontologies no longer have decides nothing, so that the value is grounded as others are.
    """
    decision = decisions.of(value.field, value.text, value.ids, waits=waits)
    if decision is None:
        return None
    prefixes = ONTOLOGY_FIELDS.get(value.field, ())
    found = [catalogue.resolve(term, prefixes=prefixes) for term in decision.terms]
    if None in found:
        return None
    given = joined(value.ids) or None
    return tuple(
        Mention(value.field, value.text, term, catalogue.label(term), Method.ID, 1.0, given, CURATED)
        for term in dict.fromkeys(each.term for each in found if each)
    )


def accept(table: Path, directory: Path, cluster: ClusterSettings = DEFAULT_CLUSTER) -> Accepted:
    """Keep the decisions of a curator's table in an index, for its next run to use.

    Raises BadInput naming the lines that are wrong; then none is kept.
    """
    index = existing_index(directory)
    rows = read_rows(table)
    with closing(open_store(index, cluster)) as store, store.read() as reader:
        version = reader.snapshot.manifest.ontologies
        offered = _offered(entry for entry, _ in reader.unresolved(maxsize))
    with closing(Catalogue.open(index.ontologies, version)) as catalogue, one_writer(index.decisions):
        kept = read_decisions(index.decisions)
        for decision in kept:
            offered[decision.key] |= set(decision.terms)
        accepted = _checked(rows, offered, catalogue, table)
        after = kept.updated(accepted)
        write_decisions(index.decisions, after, catalogue.label)
    changed = sum(kept.get(decision.key) != decision for decision in accepted)
    return Accepted(len(accepted), changed, len(after), str(index.decisions))


def _offered(entries: Iterable[Unresolved]) -> defaultdict[Key, set[TermId]]:
    """What may be decided on: every entry, and every text whatever its ids; with the terms that its row offers."""
    offered: defaultdict[Key, set[TermId]] = defaultdict(set)
    for entry in entries:
        for ids in (joined(entry.ids), ANY_IDS):
            offered[value_key(entry.field, entry.text, ids)] |= set(entry.candidates)
    return offered


def _checked(
    rows: Sequence[Row], offered: Mapping[Key, set[TermId]], catalogue: Catalogue, table: Path
) -> list[Decision]:
    accepted: list[Decision] = []
    wrong: list[tuple[int, str]] = []
    for row in rows:
        try:
            accepted.append(_decision(row, offered, catalogue))
        except BadInput as exc:
            wrong.append((row.line, str(exc)))
    if wrong:
        line, reason = wrong[0]
        rest = ", ".join(str(other) for other, _ in wrong[1 : _TOLD + 1])
        more = f"; as wrong are {len(wrong) - 1} more, in line {rest}" if rest else ""
        raise BadInput(f"{table}: line {line}: {reason}{more}; no decision was kept")
    return accepted


def _decision(row: Row, offered: Mapping[Key, set[TermId]], catalogue: Catalogue) -> Decision:
    if row.ids == IN_TEXT:
        return _rejection(row)
    if row.key not in offered:
        raise BadInput(
            f"no {row.field} {row.text!r} with ids {row.ids!r} waits for a decision: did the spreadsheet change a cell?"
        )
    terms = tuple(dict.fromkeys(_term(spelling, row.field, catalogue) for spelling in row.terms))
    _check_ontologies(row.field, [term for term in terms if term not in offered[row.key]], catalogue)
    return Decision(row.field, row.text, row.ids, terms)


def _rejection(row: Row) -> Decision:
    """That words of prose name no term of a field, which is all that can be decided on them."""
    if row.field not in ONTOLOGY_FIELDS:
        raise BadInput(f"prose names no terms of {row.field!r}, only of {', '.join(ONTOLOGY_FIELDS)}")
    if row.terms or not row.text.strip():
        raise BadInput(f"words of prose (ids {IN_TEXT!r}) can only be rejected: give the words, and decide {NO_TERM!r}")
    return Decision(row.field, row.text, row.ids, ())


def _term(spelling: str, field: str, catalogue: Catalogue) -> str:
    """The term of an id. Raises BadInput with what may have been meant."""
    found = catalogue.resolve(spelling, prefixes=ONTOLOGY_FIELDS.get(field, ()))
    term = catalogue.term(found.term if found else spelling)
    if term.obsolete:
        near = " or ".join(_suggested(found.suggestions if found else (), catalogue))
        advice = f"did you mean {near}?" if near else "decide for a term in use"
        raise BadInput(f"{term.id} ({term.label}) is obsolete; {advice}")
    return term.id


def _check_ontologies(field: str, terms: Iterable[TermId], catalogue: Catalogue) -> None:
    """Raises BadInput for a term of an ontology that a field does not use: a slip of a row, or of a column."""
    prefixes = ONTOLOGY_FIELDS.get(field)
    foreign = next((term for term in terms if prefixes and prefix_of(term) not in prefixes), None)
    if prefixes and foreign:
        raise BadInput(
            f"{foreign} ({catalogue.label(foreign)}) is no term for {field}, which is of {' or '.join(prefixes)}"
        )


def _suggested(terms: Iterable[str], catalogue: Catalogue) -> Iterator[str]:
    return (f"{term} ({catalogue.label(term)})" for term in terms)
