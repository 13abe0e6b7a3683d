"""A study or an image as a document, and back. Pure: nothing here asks a cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import orjson

from hooke.fields import FACET_FIELDS, UNCOUNTED_FIELDS
from hooke.inherit import effective_values, image_values, inherited_values, is_prose, overrides, study_values
from hooke.model import Dataset, Image, Level, Mention, Method, Pixels, Study, Value
from hooke.sorting import number_key, sort_keys
from hooke.store.elasticsearch.cluster import Body
from hooke.store.elasticsearch.mapping import BLOCK, SORTED, field_key, set_path
from hooke.text import fold, number, tokens

_LONGEST_KEY = 255
_REMEMBERED = 200_000
_REMEMBERED_HEIRLOOMS = 2_000


class FieldSet(NamedTuple):
    """What a record has in one field: terms with their labels, and values as spelt; `key` names it in documents."""

    key: str
    field: str
    terms: tuple[tuple[str, str], ...]
    values: tuple[str, ...]


class Document(NamedTuple):
    """A record's search fields and payload, the sets they name, and a digest of it all."""

    body: Body
    sets: tuple[FieldSet, ...]
    digest: str


class Searched(NamedTuple):  # one for every title and id: a frozen dataclass takes three times as long to make
    """What one value adds to a document.

    words: its tokens, plain and (`tokens`) under its field. phrases: the same in order, none for a single word.
    terms: (field, term, label). counted: the value stands in a facet itself. alone: the set it makes in each field, if
    a record has no other value there. packed: as it stands in a payload.
    """

    field: str
    text: str
    folded: str
    words: tuple[str, ...]
    tokens: tuple[str, ...]
    phrases: tuple[str, str] | None
    whole: str
    terms: tuple[tuple[str, str, str], ...]
    number: tuple[str, str] | None
    counted: bool
    alone: tuple[FieldSet, ...]
    packed: list[object]


def searched(value: Value) -> Searched:
    """What a value adds to a document."""
    field, text = value.field, value.text
    terms = tuple({(m.field, m.term, m.label): None for m in value.mentions}) if value.mentions else ()
    counted = field not in UNCOUNTED_FIELDS and not (terms and any(grounded == field for grounded, _, _ in terms))
    key, folded, words = field_key(field), fold(text), tokens(text)
    keyed = tuple([f"{key}={word}" for word in words])
    stands_for = number(text) if counted else None
    whole = value_key(field, folded)
    plain = (FieldSet(set_key(whole), field, (), (text,)),) if counted else ()
    return Searched(
        field,
        text,
        folded,
        words,
        keyed,
        (" ".join(words), " ".join(keyed)) if len(words) > 1 else None,
        whole,
        terms,
        (key, number_key(stands_for)) if stands_for is not None else None,
        counted,
        _alone(value, terms, folded if counted else None) if terms else plain,
        _packed(value),
    )


def _alone(value: Value, terms: Iterable[tuple[str, str, str]], folded: str | None) -> tuple[FieldSet, ...]:
    held: dict[str, Held] = {} if folded is None else {value.field: Held({}, {folded: value.text})}
    for field, term, label in terms:
        held[field] = _joined(Held({term: label}, {}), held.get(field))
    return tuple(field_set(field, kept) for field, kept in held.items())


def field_set(field: str, held: "Held") -> FieldSet:
    """The set of what is held in a field; a single value is its own key, as nearly all are."""
    if len(held.texts) == 1 and not held.terms:
        ((folded, text),) = held.texts.items()
        return FieldSet(set_key(value_key(field, folded)), field, (), (text,))
    terms = tuple(sorted(held.terms.items()))
    return FieldSet(digest(field, terms, sorted(held.texts)), field, terms, tuple(held.texts.values()))


class Held(NamedTuple):
    """What values put into one field: terms with labels, and values as spelt by their folded form."""

    terms: Mapping[str, str]
    texts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heirlooms:
    """What all images of a dataset inherit that speak of the same fields themselves: one document for all of them.

    An archive's descriptions are longer than all else its images have, and there are a thousand images to a study.
    key: the same for the same images, whatever they inherit. study: kept for its id().
    """

    key: str
    study: Study
    held: Mapping[str, Held]
    facets: tuple[FieldSet, ...]
    document: Document


class Documents:
    """Makes documents; remembers what it made of values and of what images inherit: archives repeat themselves."""

    def __init__(self) -> None:
        # sources repeat the same object: the object is kept, so that its id() cannot be another's
        self._seen: dict[int, tuple[Value, Searched]] = {}
        self._sets: dict[tuple[object, ...], FieldSet] = {}
        self._heirlooms: dict[tuple[int, str | None, frozenset[str]], Heirlooms] = {}
        self._inheritable: tuple[Study, frozenset[str]] | None = None

    def study(self, study: Study) -> Document:
        """The document of a study."""
        own = list(map(self._searched, study_values(study)))
        sets = [field_set(field, held) for field, held in _held(own).items()]
        payload = study_payload(study)
        body = {**_text_fields(own), **_set_keys(sets), "method": _methods(study.values), "record": payload}
        body[SORTED] = sort_keys(Level.STUDY, study.title, {held.field: held.values for held in sets})
        return Document(body, (*sets, *self._spellings(study)), digest(payload))

    def _spellings(self, study: Study) -> Iterator[FieldSet]:
        """The datasets' values as sets that no record has: they are spelt here first, whether images inherit or not."""
        for dataset in study.datasets:
            for field, held in _held(map(self._searched, dataset.values)).items():
                if held.texts:
                    yield field_set(field, held._replace(terms={}))

    def image(self, image: Image, study: Study) -> tuple[Document, Heirlooms]:
        """The document of an image, and what it inherits.

        What it inherits is in its own document only where it makes one set of values with what the image has itself,
        and in the facets that every archive has, which are counted most.
        """
        own = image_values(image)
        heirlooms = self.heirlooms(study, image.dataset, overrides(own))
        described = len(own) - len(image.values)  # its title, id and dataset are new objects each time
        found = [*map(searched, own[:described]), *map(self._searched, image.values)]
        sets = self._joined_sets(found, heirlooms.held)
        spoken = {held.field for held in sets}
        facets = [kept for kept in heirlooms.facets if kept.field not in spoken]
        pixels: Body = {"pixels": image.pixels.path, "with_pixels": True} if image.pixels else {}
        payload = image_payload(image, [value.packed for value in found[described:]])
        body = {**_text_fields(found), **_set_keys([*sets, *facets]), **pixels}
        body |= {"method": _methods(image.values), "record": payload}
        inherited = {field: kept.texts.values() for field, kept in heirlooms.held.items() if field not in spoken}
        order = sort_keys(Level.IMAGE, image.title, {**inherited, **{held.field: held.values for held in sets}})
        body[SORTED] = order
        keys = [held.key for held in (*sets, *facets)]
        return Document(body, tuple(sets), digest(payload, heirlooms.key, keys, order)), heirlooms

    def heirlooms(self, study: Study, dataset: str | None, spoken: frozenset[str]) -> Heirlooms:
        """What images of a dataset inherit that speak of these fields."""
        spoken &= self._inheritable_fields(study)
        key = (id(study), dataset, spoken)
        found = self._heirlooms.get(key)
        if found is None:
            if len(self._heirlooms) > _REMEMBERED_HEIRLOOMS:
                self._heirlooms.clear()
            found = self._heirlooms[key] = self._make_heirlooms(study, dataset, spoken)
        return found

    def _make_heirlooms(self, study: Study, dataset: str | None, spoken: frozenset[str]) -> Heirlooms:
        # only the field names of the own values matter to what is inherited
        silent = [Value(field, "") for field in spoken]
        inherited = effective_values(silent, inherited_values(study, dataset))[len(silent) :]
        values = list(map(self._searched, inherited))
        held = _held(values)
        sets = {field: field_set(field, kept) for field, kept in held.items()}
        stated = _text_fields([value for value in values if not is_prose(value.field)])
        body = {**_text_fields(values), **_set_keys(sets.values())}
        body["stated"] = {"word": stated["word"], "phrase": stated["phrase"]}
        document = Document(body, tuple(sets.values()), digest(_values(inherited)))
        facets = tuple(kept for field, kept in sets.items() if field in FACET_FIELDS)
        return Heirlooms(digest(study.id, dataset, sorted(spoken)), study, held, facets, document)

    def _inheritable_fields(self, study: Study) -> frozenset[str]:
        if self._inheritable is None or self._inheritable[0] is not study:
            everything = (*study.values, *(value for dataset in study.datasets for value in dataset.values))
            self._inheritable = study, frozenset(value.field for value in everything)
        return self._inheritable[1]

    def _searched(self, value: Value) -> Searched:
        seen = self._seen.get(id(value))
        if seen is None:
            if len(self._seen) > _REMEMBERED:
                self._seen.clear()
            seen = self._seen[id(value)] = (value, searched(value))
        return seen[1]

    def _joined_sets(self, values: Iterable[Searched], inherited: Mapping[str, Held]) -> list[FieldSet]:
        """What values make of their fields, together with what is inherited there."""
        sets: dict[str, FieldSet] = {}
        several: dict[str, list[Searched]] = {}
        first: dict[str, Searched] = {}
        for value in values:
            for held in value.alone:
                field = held.field
                if field in sets:
                    several.setdefault(field, [first[field]]).append(value)
                else:
                    sets[field], first[field] = held, value
        for field in inherited.keys() & sets.keys():
            several.setdefault(field, [first[field]])
        for field, group in several.items():
            sets[field] = self._made(field, _joined(_held(group)[field], inherited.get(field)))
        return list(sets.values())

    def _made(self, field: str, held: Held) -> FieldSet:
        content = (field, tuple(held.terms.items()), tuple(held.texts.values()))
        made = self._sets.get(content)
        if made is None:
            if len(self._sets) > _REMEMBERED:
                self._sets.clear()
            made = self._sets[content] = field_set(field, held)
        return made


def heritage(study: Study) -> str:
    """A digest of all that images can inherit from a study."""
    return digest(study.id, study.title, study_payload(study)["values"], study_payload(study)["datasets"])


def _held(values: Iterable[Searched]) -> dict[str, Held]:
    found: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for value in values:
        for field, term, label in value.terms:
            found.setdefault(field, ({}, {}))[0][term] = label
        if value.counted:
            found.setdefault(value.field, ({}, {}))[1].setdefault(value.folded, value.text)
    return {field: Held(terms, texts) for field, (terms, texts) in found.items()}


def _joined(own: Held, inherited: Held | None) -> Held:
    if inherited is None:
        return own
    return Held({**own.terms, **inherited.terms}, {**inherited.texts, **own.texts})


def _set_keys(sets: Iterable[FieldSet]) -> Body:
    body: Body = {}
    for held in sets:
        kind, key = set_path(held.field)
        if kind not in body:
            body[kind] = {}
        body[kind][key] = held.key
    return body


def _text_fields(values: Sequence[Searched]) -> Body:
    """What words, phrases, terms, numbers and whole values are looked up in."""
    words: list[str] = []
    keyed: list[str] = []
    phrases: dict[tuple[str, str], None] = {}
    terms: dict[tuple[str, str], None] = {}
    fields: dict[str, None] = {}
    numbers: dict[str, set[str]] = {}
    for value in values:
        words += value.words
        keyed += value.tokens
        if value.words or value.field not in UNCOUNTED_FIELDS:
            fields[value.field] = None
        if value.phrases:
            phrases[value.phrases] = None
        if value.number:
            numbers.setdefault(value.number[0], set()).add(value.number[1])
        for field, term, _ in value.terms:
            terms[field, term] = fields[field] = None
    return {
        "word": list(dict.fromkeys(words)),
        "token": list(dict.fromkeys(keyed)),
        "value": list(dict.fromkeys([value.whole for value in values])),
        "phrase": [phrase for phrase, _ in phrases],
        "field_phrase": [phrase for _, phrase in phrases],
        "term": sorted({term for _, term in terms}),
        "field_term": sorted([f"{field_key(field)}={term}" for field, term in terms]),
        "number": {key: sorted(numbers[key]) for key in sorted(numbers)},
        "field": sorted(fields),
    }


def value_key(field: str, folded: str) -> str:
    """A field's whole value as it is looked up; a long one by its digest, since a keyword has an end."""
    key = f"{field_key(field)}={folded}"
    return key if len(key) <= _LONGEST_KEY else f"{field_key(field)}#{digest(folded)}"


def set_key(value: str) -> str:
    """The name of the set that a value makes by itself; a document's id has at most 512 bytes."""
    return value if value.isascii() else digest(value)


def id_key(record_id: str) -> str:
    """A record's id as it is looked up; a very long one by its digest."""
    return record_id if len(record_id) <= _LONGEST_KEY else f"#{digest(record_id)}"


def ordinal_bit(ordinal: int) -> float:
    """The place of an ordinal in its block."""
    return float(1 << (ordinal % BLOCK))


def _methods(values: Iterable[Value]) -> Body:
    methods: dict[str, int] = {}
    for value in values:
        for mention in value.mentions:
            name = mention.method.value
            methods[name] = methods.get(name, 0) + 1
    return methods


def digest(*content: object) -> str:
    """A short name of some content, the same wherever it is made."""
    return blake2b(orjson.dumps(content), digest_size=12).hexdigest()


def study_payload(study: Study) -> Body:
    """A study as it was put, as JSON."""
    return {
        "id": study.id,
        "title": study.title,
        "values": _values(study.values),
        "datasets": [[dataset.name, _values(dataset.values)] for dataset in study.datasets],
        "origins": list(study.origins),
    }


def image_payload(image: Image, packed: list[list[object]] | None = None) -> Body:
    """An image as it was put, as JSON; packed: its values, where they are known in this form."""
    return {
        "id": image.id,
        "study": image.study_id,
        "title": image.title,
        "dataset": image.dataset,
        "values": packed if packed is not None else _values(image.values),
        "pixels": image.pixels.path if image.pixels else None,
    }


def read_study(payload: Body) -> Study:
    """The study of a payload."""
    datasets = tuple(Dataset(name, _read_values(values)) for name, values in payload["datasets"])
    return Study(payload["id"], payload["title"], _read_values(payload["values"]), datasets, tuple(payload["origins"]))


def read_image(payload: Body) -> Image:
    """The image of a payload."""
    pixels = Pixels(payload["pixels"]) if payload["pixels"] is not None else None
    return Image(
        payload["id"], payload["study"], payload["title"], payload["dataset"], _read_values(payload["values"]), pixels
    )


def _values(values: Iterable[Value]) -> list[list[object]]:
    return list(map(_packed, values))


def _packed(value: Value) -> list[object]:
    packed: list[object] = [value.field, value.text, value.ids, [_mention(m) for m in value.mentions]]
    return [*packed, True] if value.dragged else packed


def _mention(mention: Mention) -> list[object]:
    m = mention
    return [m.field, m.text, m.term, m.label, str(m.method), m.score, m.given_id, m.note, m.source, m.start]


def _read_values(values: Iterable[Sequence[object]]) -> tuple[Value, ...]:
    return tuple(map(_read_value, values))


def _read_value(packed: Sequence[object]) -> Value:
    field, text, ids, mentions, *dragged = packed
    assert isinstance(ids, list)
    assert isinstance(mentions, list)
    read = tuple(Mention(f, t, term, label, Method(m), score, *rest) for f, t, term, label, m, score, *rest in mentions)
    return Value(str(field), str(text), tuple(ids), read, dragged=bool(dragged))
