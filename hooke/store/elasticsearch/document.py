"""A study or an image as a document, and back. Pure: nothing here asks a cluster."""

import json
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from hooke.fields import TEXT_FIELDS, TITLE, UNCOUNTED_FIELDS
from hooke.inherit import effective_values, image_values, inherited_values, overrides, study_values
from hooke.model import Dataset, Image, Mention, Method, Pixels, Study, Value
from hooke.store.elasticsearch.cluster import Body
from hooke.store.elasticsearch.mapping import BLOCK, field_key, set_field
from hooke.text import fold, number, tokens

_LONGEST_KEY = 255
_REMEMBERED = 200_000
_REMEMBERED_HEIRLOOMS = 2_000


@dataclass(frozen=True, slots=True)
class FieldSet:
    """What a record has in one field: terms with their labels, and values as spelt; `key` names it in documents."""

    key: str
    field: str
    terms: tuple[tuple[str, str], ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A record's search fields and payload, the sets they name, and a digest of it all."""

    body: Body
    sets: tuple[FieldSet, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What one value adds to a document. terms: (field, term, label); counted: the value stands in a facet itself."""

    field: str
    text: str
    folded: str
    words: tuple[str, ...]
    terms: tuple[tuple[str, str, str], ...]
    counted: bool


def searched(value: Value) -> Searched:
    """What a value adds to a document."""
    terms = tuple(dict.fromkeys((m.field, m.term, m.label) for m in value.mentions))
    counted = value.field not in UNCOUNTED_FIELDS and all(field != value.field for field, _, _ in terms)
    return Searched(value.field, value.text, fold(value.text), tokens(value.text), terms, counted)


@dataclass(frozen=True, slots=True)
class _Heirlooms:
    """What images have from a study: copied into their documents, or lent. The study is kept for its id().

    digest: of what shows in the images' documents.
    """

    study: Study
    copied: list[Searched]
    lent: list[Searched]
    digest: str


class Documents:
    """Makes documents; remembers what it made of values and of what images inherit: archives repeat themselves."""

    def __init__(self) -> None:
        # sources repeat the same object: the object is kept, so that its id() cannot be another's
        self._seen: dict[int, tuple[Value, Searched]] = {}
        self._sets: dict[tuple[object, ...], FieldSet] = {}
        self._heirlooms: dict[tuple[int, str | None, frozenset[str]], _Heirlooms] = {}

    def study(self, study: Study) -> Document:
        """The document of a study."""
        own = list(map(self._searched, study_values(study)))
        body, sets = self._body(own)
        lent = [self._searched(value) for value in lent_values(study)]
        body |= {f"lent_{name}": values for name, values in _text_fields(lent).items() if name in _LENT_FIELDS}
        payload = study_payload(study)
        return Document(body | {"method": _methods(study.values), "record": payload}, sets, digest(payload))

    def image(self, image: Image, study: Study) -> Document:
        """The document of an image with what it inherits, but for the prose that its study lends it."""
        own = image_values(image)
        heirlooms = self._inherited(study, image.dataset, overrides(own))
        body, sets = self._body([*map(self._searched, own), *heirlooms.copied], heirlooms.lent)
        pixels: Body = {"pixels": image.pixels.path, "with_pixels": True} if image.pixels else {}
        payload = image_payload(image)
        body |= {**pixels, "method": _methods(image.values), "record": payload}
        return Document(body, sets, digest(payload, heirlooms.digest))

    def _inherited(self, study: Study, dataset: str | None, spoken: frozenset[str]) -> "_Heirlooms":
        """What all images of a dataset inherit that speak of the same fields themselves."""
        key = (id(study), dataset, spoken)
        found = self._heirlooms.get(key)
        if found is None:
            if len(self._heirlooms) > _REMEMBERED_HEIRLOOMS:
                self._heirlooms.clear()
            lent = lent_values(study)
            # only the field names of the own values matter to what is inherited
            silent = [Value(field, "") for field in spoken]
            inherited = effective_values(silent, inherited_values(study, dataset))[len(silent) :]
            copied = [value for value in inherited if value not in set(lent)]
            found = self._heirlooms[key] = _Heirlooms(
                study,
                list(map(self._searched, copied)),
                list(map(self._searched, lent)),
                digest(_values(copied), _lent_terms(lent)),
            )
        return found

    def _searched(self, value: Value) -> Searched:
        seen = self._seen.get(id(value))
        if seen is None:
            if len(self._seen) > _REMEMBERED:
                self._seen.clear()
                self._sets.clear()
            seen = self._seen[id(value)] = (value, searched(value))
        return seen[1]

    def _body(self, values: Sequence[Searched], lent: Sequence[Searched] = ()) -> tuple[Body, tuple[FieldSet, ...]]:
        """lent: values whose words are found elsewhere; their terms and their field's name are still the record's."""
        everything = [*values, *lent]
        sets = self._field_sets(everything)
        terms = {(field, term) for value in everything for field, term, _ in value.terms}
        prose = {value.field for value in everything if value.field in UNCOUNTED_FIELDS and value.words}
        body = _text_fields(values)
        body["term"] = sorted({term for _, term in terms})
        body["field_term"] = sorted(f"{field_key(field)}={term}" for field, term in terms)
        body["field"] = sorted({held.field for held in sets} | prose)
        body["number"] = _numbers(values)
        for held in sets:
            kind, key = set_field(held.field).split(".")
            body.setdefault(kind, {})[key] = held.key
        return body, sets

    def _field_sets(self, values: Iterable[Searched]) -> tuple[FieldSet, ...]:
        terms: dict[str, dict[str, str]] = {}
        texts: dict[str, dict[str, str]] = {}
        for value in values:
            for field, term, label in value.terms:
                terms.setdefault(field, {})[term] = label
            if value.counted:
                texts.setdefault(value.field, {}).setdefault(value.folded, value.text)
        return tuple(
            self._field_set(field, terms.get(field, {}), texts.get(field, {}))
            for field in dict.fromkeys((*terms, *texts))
        )

    def _field_set(self, field: str, terms: Mapping[str, str], texts: Mapping[str, str]) -> FieldSet:
        content = (field, tuple(sorted(terms)), tuple(sorted(texts)))
        made = self._sets.get(content)
        if made is None:
            labelled = tuple(sorted(terms.items()))
            made = self._sets[content] = FieldSet(digest(content), field, labelled, tuple(texts.values()))
        return made


def lent_values(study: Study) -> tuple[Value, ...]:
    """The prose that all images of a study inherit.

    It is searched through the study, not copied into its images: an archive's descriptions are longer than all else
    that its images have, and there are a thousand images to a study.
    """
    elsewhere = {value for dataset in study.datasets for value in dataset.values}
    prose = (value for value in study.values if value.field in TEXT_FIELDS and value not in elsewhere)
    return (Value(TITLE, study.title), *prose)


def heritage(study: Study) -> str:
    """A digest of all that images can have copied from a study: while it stays, none of them changes with it."""
    lent = lent_values(study)
    once = set(lent)
    copied = [value for value in study.values if value not in once]
    return digest(_values(copied), study_payload(study)["datasets"], _lent_terms(lent))


def _lent_terms(values: Iterable[Value]) -> list[object]:
    """What lent prose leaves in an image's document: terms, and the names of fields that have words."""
    return [[value.field, bool(tokens(value.text)), [_mention(m)[:4] for m in value.mentions]] for value in values]


_LENT_FIELDS = ("word", "token", "value", "phrase", "field_phrase")


def _text_fields(values: Iterable[Searched]) -> Body:
    """What words, phrases and whole values are looked up in; one word needs no phrase."""
    words: dict[str, None] = {}
    keyed: dict[str, None] = {}
    whole: dict[str, None] = {}
    phrases: dict[str, None] = {}
    field_phrases: dict[str, None] = {}
    for value in values:
        key = field_key(value.field)
        whole[value_key(value.field, value.folded)] = None
        words.update(dict.fromkeys(value.words))
        keyed.update(dict.fromkeys(f"{key}={word}" for word in value.words))
        if len(value.words) > 1:
            phrases[" ".join(value.words)] = None
            field_phrases[" ".join(f"{key}={word}" for word in value.words)] = None
    return {
        "word": list(words),
        "token": list(keyed),
        "value": list(whole),
        "phrase": list(phrases),
        "field_phrase": list(field_phrases),
    }


def value_key(field: str, folded: str) -> str:
    """A field's whole value as it is looked up; a long one by its digest, since a keyword has an end."""
    key = f"{field_key(field)}={folded}"
    return key if len(key) <= _LONGEST_KEY else f"{field_key(field)}#{digest(folded)}"


def id_key(record_id: str) -> str:
    """A record's id as it is looked up; a very long one by its digest."""
    return record_id if len(record_id) <= _LONGEST_KEY else f"#{digest(record_id)}"


def number_key(value: float) -> str:
    """A number as text that sorts as numbers do (IEEE 754: the bits of a double, the sign turned over).

    >>> sorted([2.5, -1.0, 0.0, 17.0, -20.0], key=number_key)
    [-20.0, -1.0, 0.0, 2.5, 17.0]
    """
    bits = int.from_bytes(struct.pack(">d", value + 0.0), "big")
    return f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"


def ordinal_bit(ordinal: int) -> float:
    """The place of an ordinal in its block."""
    return float(1 << (ordinal % BLOCK))


def _numbers(values: Iterable[Searched]) -> Body:
    found: dict[str, list[str]] = {}
    for value in values:
        stands_for = number(value.text) if value.counted else None
        if stands_for is not None:
            found.setdefault(field_key(value.field), []).append(number_key(stands_for))
    return {key: sorted(set(keys)) for key, keys in found.items()}


def _methods(values: Iterable[Value]) -> Body:
    return dict(Counter(str(mention.method) for value in values for mention in value.mentions))


def digest(*content: object) -> str:
    """A short name of some content, the same wherever it is made."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def study_payload(study: Study) -> Body:
    """A study as it was put, as JSON."""
    return {
        "id": study.id,
        "title": study.title,
        "values": _values(study.values),
        "datasets": [[dataset.name, _values(dataset.values)] for dataset in study.datasets],
        "origins": list(study.origins),
    }


def image_payload(image: Image) -> Body:
    """An image as it was put, as JSON."""
    return {
        "id": image.id,
        "study": image.study_id,
        "title": image.title,
        "dataset": image.dataset,
        "values": _values(image.values),
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
    return [[value.field, value.text, value.ids, [_mention(m) for m in value.mentions]] for value in values]


def _mention(mention: Mention) -> list[object]:
    m = mention
    return [m.field, m.text, m.term, m.label, str(m.method), m.score, m.given_id, m.note]


def _read_values(values: Iterable[Sequence[object]]) -> tuple[Value, ...]:
    return tuple(map(_read_value, values))


def _read_value(packed: Sequence[object]) -> Value:
    field, text, ids, mentions = packed
    assert isinstance(ids, list)
    assert isinstance(mentions, list)
    read = tuple(Mention(f, t, term, label, Method(m), score, g, n) for f, t, term, label, m, score, g, n in mentions)
    return Value(str(field), str(text), tuple(ids), read)
