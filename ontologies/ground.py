"""Ground a value: the terms that its submitter's ids and its text stand for. Pure, so that callers may cache by value.

Scores of ids; those of text are in `ontologies.lookup`:

    id whose term has the text as a name, or that has no text     1.00
    id whose term has another name                                0.90   note label_differs

An id whose text names another term has no mention, only its place beside the text's (`given_id`), with the note
id_label_conflict: crates have ids of their neighbours in a list. So has an id that its own ontology does not have,
where that ontology has a term of just the text's name; and an id that a spreadsheet made, dragged down a column
(`indexer.dragged`), unless the text is a name of its term.

A text is read in this order, and the first reading that names a term counts:

    as it is written                                              score of `ontologies.lookup`
    where that names nothing, without a last parenthesis that     0.65   `lamina (of the leaf)`
      neither denies it nor holds an id
    with the field's noun, or a line without it                   0.65   `round nucleus` for `round nucleus phenotype`,
                                                                         `HeLa cells` for `HeLa`
    as the label of one single term of a specimen's other fields  0.80   a plant's organ given as its phenotype
    a strain or species without its last words, down to its genus 0.60   `Bacillus subtilis PY79`; note broader_taxon

An id at the end, `nucleus (GO:0005634)`, is the submitter's id as if it had a column of its own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import ID_LABEL_CONFLICT, IS_A, Mention, Method, TermId, Unresolved, Value
from hooke.text import fold
from ontologies.catalogue import Catalogue
from ontologies.ids import key, keys, prefix_of
from ontologies.model import Match, Resolution
from ontologies.names import abbreviated, forms, normal

AGREES, DIFFERS, CONFLICTS = 1.0, 0.9, 0.5
REREAD, ELSEWHERE, BROADER = 0.65, 0.80, 0.60

_NO_VALUES = frozenset(
    {
        *("n/a", "na", "nan", "nil", "no", "none", "null", "missing", "other", "tbd", "unknown", "unspecified"),
        *("not applicable", "not available", "not collected", "not provided", "not specified", "not known"),
        *("# leave blank", "leave blank"),
    }
)
_GO_ASPECTS = {"GO:0008150": "biological_process", "GO:0005575": "cellular_component"}
_SURE = (Method.LABEL, Method.EXACT_SYNONYM)
_NOUNS = {
    "cell_line": ("cell line", "cell"),
    "cell_type": ("cell",),
    "developmental_stage": ("stage",),
    "imaging_method": ("microscopy",),
    "phenotype": ("phenotype",),
}
"""What a field's values leave out of a name, for their column says it: `round nucleus (phenotype)`."""
# Not organisms, methods and compounds, nor cell lines: `Glycine` is an amino acid here and the soybean there.
_SPECIMEN = (
    *("anatomy", "cell_type", "cellular_component", "biological_process"),
    *("disease", "phenotype", "developmental_stage"),
)
"""The fields that say what of an organism is seen; archives put a name of one under another."""
_SPECIMEN_PREFIXES = frozenset(prefix for field in _SPECIMEN for prefix in ONTOLOGY_FIELDS[field]) - {"PATO"}
_DENIED = re.compile(
    r"(?i)\b(no|non|not|none|neg|negative|absent|absence|without|excluded|lacking|free)\b|[a-z]+\s*[:_]\s*\d+"
)
"""What in a parenthesis turns the words before it around, or is an id that must not be lost."""
_TAXON = re.compile(r"[A-Z][a-z]+ (?:[a-z-]{3,}|sp\.)(?: .*)?")
"""A species' name, and what may follow it: `Bacteria Latreille`, a genus with its author, is none."""
_SHORT = 3
"""Letters of a name that is too short to be looked for outside its field's ontologies."""

Grounded = tuple[tuple[Mention, ...], tuple[Unresolved, ...]]


@dataclass(frozen=True, slots=True)
class _Named:
    """What a text was grounded to: one term, several equally good ones, or none."""

    match: Match | None = None
    candidates: tuple[TermId, ...] = ()


def ground(value: Value, catalogue: Catalogue) -> Grounded:
    """The mentions of a value, and what of it stays unresolved (unknown_id, no_term, ambiguous).

    Values of fields without an ontology are grounded by their ids only, and are never unresolved for their text.
    Ids that a spreadsheet made count only where the text is a name of their term.
    """
    if value.dragged and not _is_confirmed(value, catalogue):
        return _beside_dragged(value, *ground(replace(value, ids=(), dragged=False), catalogue))
    prefixes = ONTOLOGY_FIELDS.get(value.field)
    text = "" if is_no_value(value.text) else " ".join(value.text.split())
    text, written_id = _without_id(text, catalogue)
    resolved, unknown = _resolve(value.ids or written_id, catalogue, prefixes or ())
    if prefixes is None:
        mentions = (_by_id(value, found, catalogue, AGREES, None) for found in resolved)
        return tuple(replace(mention, field=_field(mention, catalogue)) for mention in mentions), ()
    if not resolved and text:
        written = catalogue.resolve(text)
        resolved = (written,) if written else ()
    parts = _parts(text, value.field, catalogue)
    if resolved:
        return _with_ids(value, text, resolved, parts, catalogue), ()
    if not any(part.match or part.candidates for part in parts):
        if value.field == "organism" and (broader := _broader_taxon(text, catalogue)):
            return (_by_name(value, broader, "; ".join(unknown) or None, "broader_taxon"),), ()
        parts = [_elsewhere(text, value.field, catalogue)]
    return _by_text(value, parts, unknown)


def _is_confirmed(value: Value, catalogue: Catalogue) -> bool:
    resolved, _ = _resolve(value.ids, catalogue, ONTOLOGY_FIELDS.get(value.field, ()))
    return not is_no_value(value.text) and any(_agrees(value.text, found, catalogue) for found in resolved)


def _beside_dragged(value: Value, mentions: tuple[Mention, ...], unresolved: tuple[Unresolved, ...]) -> Grounded:
    """What was made of a text alone, with the ids that stand beside it; an id that nobody gave is an unknown one."""
    given = "; ".join(value.ids)
    return (
        tuple(replace(mention, given_id=given, note=ID_LABEL_CONFLICT) for mention in mentions),
        tuple(
            replace(odd, ids=value.ids, reason="unknown_id" if odd.reason == "no_term" else odd.reason)
            for odd in unresolved
        ),
    )


def _field(mention: Mention, catalogue: Catalogue) -> str:
    """The field of a mention: a term of the Gene Ontology goes to its aspect's, which its source does not name."""
    if prefix_of(mention.term) != "GO":
        return mention.field
    return aspect_field(mention.term, catalogue) or mention.field


def aspect_field(term: TermId, catalogue: Catalogue) -> str | None:
    """The field of a term of the Gene Ontology; None for functions, which have none."""
    above = catalogue.ancestors(term, (IS_A,))
    return next((field for root, field in _GO_ASPECTS.items() if root in above), None)


def is_no_value(text: str) -> bool:
    """Whether a cell says that there is nothing to say.

    >>> [is_no_value(text) for text in ("Not Applicable", "-", "# leave blank", "", "brain")]
    [True, True, True, True, False]
    """
    return fold(text) in _NO_VALUES or not normal(text)


def _resolve(
    ids: Iterable[str], catalogue: Catalogue, prefixes: Sequence[str]
) -> tuple[tuple[Resolution, ...], tuple[str, ...]]:
    """The terms of ids, each once, several to a cell split; and the ids that no ontology has."""
    found: dict[TermId, Resolution] = {}
    unknown: list[str] = []
    for cell in ids:
        for spelling in _cells(cell, catalogue, prefixes):
            resolution = catalogue.resolve(spelling, prefixes=prefixes)
            if resolution:
                found.setdefault(resolution.term, resolution)
            elif not is_no_value(spelling):
                unknown.append(spelling)
    return tuple(found.values()), tuple(unknown)


def _cells(cell: str, catalogue: Catalogue, prefixes: Sequence[str]) -> list[str]:
    """The ids in one cell. Spaces part them only where nothing else does: `NCBITaxon 9606` is one."""
    if catalogue.resolve(cell, prefixes=prefixes):
        return [cell]
    parts = [part.strip() for part in re.split(r"[;|,]", cell) if part.strip()]
    words = [word for part in parts for word in part.split()]
    if len(words) > len(parts) and any(catalogue.resolve(word, prefixes=prefixes) for word in words):
        return [word for part in parts for word in ([part] if catalogue.resolve(part) else part.split())]
    return parts


def _without_id(text: str, catalogue: Catalogue) -> tuple[str, tuple[str, ...]]:
    """A text without the id in its last parenthesis, and that id: `nucleus (GO:0005634)`."""
    parted = re.fullmatch(r"([^;|]*\S) ?\( ?([A-Za-z]+ ?[:_] ?\d+) ?\)", text)
    if parted and ", " not in text and catalogue.resolve(parted[2]):
        return parted[1], (parted[2],)
    return text, ()


def _parts(text: str, field: str, catalogue: Catalogue) -> list[_Named]:
    """What a text names: one term, or, when only its parts are names (`liver; brain`), one for each part."""
    whole = _name(text, field, catalogue)
    pieces = [piece.strip() for piece in re.split(r"[;|]|,\s", text) if piece.strip()]
    if whole.match or whole.candidates or len(pieces) < 2:
        return [whole]
    named = [_name(_without_id(piece, catalogue)[0], field, catalogue) for piece in pieces]
    return named if all(part.match for part in named) else [whole]


def _name(text: str, field: str, catalogue: Catalogue) -> _Named:
    """What the first reading of a text surely names, else what the first names that names anything.

    So `HeLa cells` is the line that `HeLa` is, though another ontology has `HeLa cell`.
    """
    first = _Named()
    for reading in dict.fromkeys(_readings(text, field)):
        found = _best(reading, catalogue, ONTOLOGY_FIELDS[field])
        if found.match and found.match.method in _SURE:
            return found if reading == text else _reread(found.match)
        if found.match and reading == text and text.endswith(")"):
            return found  # `copper (2+)` is named, if not surely: it is not copper
        if not (first.match or first.candidates):
            first = found if reading == text or not found.match else _reread(found.match)
    return first


def _reread(match: Match) -> _Named:
    return _Named(replace(match, method=Method.NORMALISED, score=min(match.score, REREAD)))


def _readings(text: str, field: str) -> Iterator[str]:
    """A text as it is written, and as it may be meant in its field."""
    yield text
    bare = _bare(text)
    if not re.search(r"[^\W\d_].*[^\W_]", bare):  # a number, or one letter, is no name
        return
    yield bare
    method = re.sub(r"(?i)\bmicroscopes?\b", "microscopy", bare) if field == "imaging_method" else bare
    yield method
    for noun in _NOUNS.get(field, ()):
        without = re.sub(rf"(?i)\s+{noun}s?$", "", method)
        # Lines are named by digits and capitals, "HeLa", "COS-7"; in "stem cells" the first word alone names nothing.
        if field == "cell_line" and re.search(r"\d|\w[A-Z]", without):
            yield without
        yield f"{without} {noun}"


def _bare(text: str) -> str:
    """A text without a last parenthesis that only adds to it; chemistry writes its own without a space before."""
    parted = re.fullmatch(r"(.*\S) \(([^()]*)\)", text)
    return parted[1] if parted and not _DENIED.search(parted[2]) else text


def _best(text: str, catalogue: Catalogue, prefixes: Sequence[str]) -> _Named:
    """A sure name (label or exact synonym) wins, and among these the field's order of ontologies, then the score.

    A fly's organ of just this name does not win over the general term that has it as a synonym.
    """
    matches = catalogue.find(text, prefixes) if text else ()
    sure = [match for match in matches if match.method in _SURE]
    best = sure or [match for match in matches if match.score == matches[0].score]
    for prefix in prefixes:
        own = [match for match in best if prefix_of(match.term) == prefix]
        if own:
            return _one_of([match for match in own if match.score == own[0].score], text, catalogue)
    return _Named()


def _one_of(equal: list[Match], text: str, catalogue: Catalogue) -> _Named:
    """One of equally good terms of an ontology: that with the capitals as written, or that above the others."""
    exact = [match for match in equal if match.name == text] or equal
    terms = {match.term for match in exact}
    above = [match for match in exact if all(match.term in catalogue.ancestors(term) for term in terms)]
    if len(terms) == 1 or len(above) == 1:
        return _Named((above or exact)[0])
    return _Named(None, tuple(match.term for match in exact))


def _elsewhere(text: str, field: str, catalogue: Catalogue) -> _Named:
    """The one term of the other fields of a specimen that has the text for its label."""
    if field not in _SPECIMEN or len(text) <= _SHORT:
        return _Named()
    found = [match for match in catalogue.find(text, _SPECIMEN_PREFIXES) if match.method is Method.LABEL]
    return _Named(replace(found[0], score=ELSEWHERE)) if len(found) == 1 else _Named()


def _broader_taxon(text: str, catalogue: Catalogue) -> Match | None:
    """The nearest taxon above a strain or species that no ontology has; of a cross none, for it is neither parent's."""
    if not _TAXON.fullmatch(text) or " x " in text or "×" in text:
        return None
    words = text.split()
    for length in range(len(words) - 1, 0, -1):
        found = catalogue.find(" ".join(words[:length]), ("NCBITaxon",))
        labels = [match for match in found if match.method is Method.LABEL]
        if labels:
            return replace(labels[0], method=Method.NORMALISED, score=BROADER) if len(labels) == 1 else None
    return None


def _by_text(value: Value, parts: list[_Named], unknown: tuple[str, ...]) -> Grounded:
    named = [part.match for part in parts if part.match]
    if named:
        given = "; ".join(unknown) or None
        return tuple(_by_name(value, match, given, _note(match, value.field, unknown)) for match in named), ()
    if is_no_value(value.text) and not unknown:
        return (), ()
    candidates = tuple(term for part in parts for term in part.candidates)
    reason = "ambiguous" if candidates else "unknown_id" if unknown else "no_term"
    return (), (Unresolved(value.field, value.text, value.ids, reason, candidates),)


def _note(match: Match, field: str, unknown: tuple[str, ...]) -> str | None:
    """What unknown ids are beside a term that the text names: a term has one id in its own ontology."""
    spelt = {spelling.partition(":")[0] for given in unknown for spelling in keys(given, ONTOLOGY_FIELDS[field])}
    if match.method in _SURE and key(match.term).partition(":")[0] in spelt:
        return ID_LABEL_CONFLICT
    return "unknown_id" if unknown else None


def _with_ids(
    value: Value, text: str, resolved: tuple[Resolution, ...], parts: list[_Named], catalogue: Catalogue
) -> tuple[Mention, ...]:
    """Mentions of the ids, and beside them of a term that the text surely names and no id does."""
    named = [part.match for part in parts if part.match and part.match.method in _SURE]
    terms = {found.term for found in resolved}
    agreeing = {found.term for found in resolved if _agrees(text, found, catalogue)}
    others = [] if agreeing or len(resolved) > 1 else [match for match in named if match.term not in terms]
    is_part = any(match.term in terms for match in named)
    conflicts = [] if is_part else [match for match in others if not _close(match, resolved[0].term, catalogue)]
    mentions = [_by_name(value, match, resolved[0].given, ID_LABEL_CONFLICT) for match in conflicts]
    mentions += [_by_name(value, match, None, None) for match in others if match not in conflicts]
    for found in () if conflicts else resolved:
        if found.term in agreeing or not normal(text) or _names_all(named, terms):
            mentions.append(_by_id(value, found, catalogue, AGREES, None))
        else:
            mentions.append(_by_id(value, found, catalogue, DIFFERS, "label_differs"))
    return tuple(mentions)


def _names_all(named: list[Match], terms: set[TermId]) -> bool:
    """Whether the parts of a text name just the terms of its ids."""
    return bool(named) and {match.term for match in named} == terms


def _agrees(text: str, found: Resolution, catalogue: Catalogue) -> bool:
    """Whether the text is a name of the term, or of the obsolete term that the id still names."""
    if is_no_value(text) or fold(text) in (fold(found.given), fold(found.term)):
        return True
    plain = normal(text)
    for term_id in {found.term, found.rewritten_from or found.term}:
        term = catalogue.term(term_id)
        for name in (term.label, *(synonym.text for synonym in term.synonyms)):
            # EFO and UBERON mark a dead term in its label too: `obsolete_breast carcinoma`.
            current = re.sub(r"^obsolete[_ ]", "", name)
            if plain in (*forms(current), abbreviated(current)):
                return True
    return False


def _close(match: Match, term: TermId, catalogue: Catalogue) -> bool:
    """Whether two terms are broader and narrower, or one thing under names of two ontologies (HeLa, HeLa cell)."""
    if match.term in catalogue.ancestors(term) or term in catalogue.ancestors(match.term):
        return True
    words, others = set(normal(match.name).split()), set(normal(catalogue.label(term)).split())
    return prefix_of(match.term) != prefix_of(term) and (words <= others or others <= words)


def _by_id(value: Value, found: Resolution, catalogue: Catalogue, score: float, note: str | None) -> Mention:
    """A mention by id; a rewriting is named where nothing graver is."""
    given = found.given if fold(found.given) != fold(found.term) else None
    label = catalogue.label(found.term)
    kept = note or found.reason
    shown = given or (found.given if kept else None)
    return Mention(value.field, value.text, found.term, label, Method.ID, score, shown, kept)


def _by_name(value: Value, match: Match, given: str | None, note: str | None) -> Mention:
    return Mention(value.field, value.text, match.term, match.label, match.method, match.score, given, note)
