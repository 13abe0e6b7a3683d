"""The indices of one Hooke index: their names, settings and explicit mappings.

`PREFIX-studies-UID`, `PREFIX-images-UID`, `PREFIX-heirlooms-UID`, `PREFIX-sets-UID`. A document of the first three is
one version of something: `born` in one state of the index, `died` in a later one; and a state is an alias whose filter
lets through what is alive in it. So a commit is one swap of aliases, a reader's state never changes, and an update
touches what changed and nothing else.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b

from hooke.fields import FACET_FIELDS
from hooke.model import Level, Method
from hooke.query import SortKey
from hooke.settings import ClusterSettings
from hooke.store.elasticsearch.cluster import Body

VERSION = 4
BLOCK = 48
"""Ordinals in a block of the bitmaps that aggregations make: a sum of distinct powers of two is exact below 2**53."""
MAX_PAGE = 10_000
SORTED = "sort"
"""Where a record's texts of `hooke.sorting.sort_keys` are."""
_SEQUENCE_BITS = 36
_PLAIN_KEY = re.compile(r"[a-z0-9_]{1,50}")

_KEYWORD: Body = {"type": "keyword"}
_UNSORTED: Body = {"type": "keyword", "doc_values": False}
_WORDS: Body = {"type": "text", "analyzer": "whitespace", "norms": False, "position_increment_gap": 100}
_LONG: Body = {"type": "long"}

_VERSIONED: Body = {
    "born": _LONG,
    "died": _LONG,
    "gone": {"type": "boolean"},
    "ordinal": _LONG,
    "bit": {"type": "double", "index": False},
    "id": _KEYWORD,
    "study": _LONG,
    "part": _KEYWORD,
    "digest": {"type": "keyword", "index": False, "doc_values": False},
}
_SEARCHED: Body = {
    "word": _UNSORTED,
    "token": _UNSORTED,
    "phrase": _WORDS,
    "field_phrase": _WORDS,
    "term": _KEYWORD,
    "field_term": _UNSORTED,
    "value": _UNSORTED,
    "field": _KEYWORD,
    "facet": {"properties": dict.fromkeys(FACET_FIELDS, _KEYWORD)},
    "column": {"type": "flattened"},
    "number": {"type": "flattened", "doc_values": False},
}
_RECORD: Body = {
    "method": {"properties": {str(method): {"type": "long", "index": False} for method in Method}},
    "record": {"type": "object", "enabled": False},
    SORTED: {"properties": {str(key): {"type": "keyword", "index": False} for key in SortKey}},
}
_IMAGE: Body = {
    "heirlooms": _LONG,
    "pixels": {"type": "keyword", "index": False},
    "with_pixels": {"type": "boolean"},
}
_HEIRLOOMS: Body = {
    # `word` and `phrase` without those of prose
    "stated": {"properties": {"word": _UNSORTED, "phrase": _WORDS}},
    "record": _RECORD["record"],
}
_SET: Body = {
    "field": _KEYWORD,
    "seq": _LONG,
    "sets": {"type": "object", "enabled": False},
}


class Part(StrEnum):
    """What an index is made of. HEIRLOOMS: what groups of images inherit, which is kept and searched once for each."""

    STUDIES = "studies"
    IMAGES = "images"
    HEIRLOOMS = "heirlooms"


def part_of(level: Level) -> Part:
    """The part that holds a level's records."""
    return Part.STUDIES if level is Level.STUDY else Part.IMAGES


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one index's parts in a cluster."""

    prefix: str
    uid: str

    @property
    def sets(self) -> str:
        """The index of distinct sets of values: a document holds many of one field."""
        return f"{self.prefix}-sets-{self.uid}"

    def versions(self, part: Part) -> str:
        """The index of all versions of a part."""
        return f"{self.current(part)}-{self.uid}"

    def state(self, part: Part, number: int) -> str:
        """The alias of a part in one committed state."""
        return f"{self.versions(part)}-{number}"

    def current(self, part: Part) -> str:
        """The alias of a part in its newest state, for whoever looks into the cluster."""
        return f"{self.prefix}-{part}"


def alive(number: int) -> Body:
    """The filter of the versions that were alive in a state; it names only the exceptions, which are few."""
    exceptions: list[Body] = [
        {"range": {"born": {"gt": number}}},
        {"range": {"died": {"lte": number}}},
        {"term": {"gone": True}},
    ]
    return {"bool": {"must_not": exceptions}}


def index_body(part: Part, uid: str, settings: ClusterSettings) -> Body:
    """What an index of versions is created with."""
    properties = {
        Part.STUDIES: _VERSIONED | _SEARCHED | _RECORD,
        Part.IMAGES: _VERSIONED | _SEARCHED | _RECORD | _IMAGE,
        Part.HEIRLOOMS: _VERSIONED | _SEARCHED | _HEIRLOOMS,
    }[part]
    return _index(uid, str(part), settings.shards if part is Part.IMAGES else 1, properties, settings)


def set_index(uid: str, settings: ClusterSettings) -> Body:
    """What the index of sets is created with."""
    return _index(uid, "set", 1, _SET, settings)


def _index(uid: str, holds: str, shards: int, properties: Body, settings: ClusterSettings) -> Body:
    copies: Body = (
        {"auto_expand_replicas": "0-1"} if settings.replicas is None else {"number_of_replicas": settings.replicas}
    )
    return {
        "settings": {
            "number_of_shards": shards,
            # a commit refreshes; in between nothing that is written is to be seen
            "refresh_interval": "-1",
            "max_result_window": MAX_PAGE + 1,
            "codec": "best_compression",
            **copies,
        },
        "mappings": {
            "_meta": {"hooke": {"version": VERSION, "index": uid, "holds": holds}},
            "dynamic": "strict",
            "properties": properties,
        },
    }


def set_field(name: str) -> str:
    """Where a record says which set of values it has in a field."""
    return ".".join(set_path(name))


@cache
def set_path(name: str) -> tuple[str, str]:
    """The same, step by step; the facets every archive has are mapped one by one."""
    return ("facet", name) if name in FACET_FIELDS else ("column", field_key(name))


@cache
def field_key(name: str) -> str:
    """A field's name where Elasticsearch gives some characters a meaning; long and odd names become a digest.

    >>> field_key("size_x"), field_key("größe")
    ('size_x', '~f4f8e155c9329ae9')
    """
    if _PLAIN_KEY.fullmatch(name):
        return name
    return "~" + blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def sequence_number(state: int, made: int) -> int:
    """The place of a document of sets in the order in which they were made; a later state's are all later."""
    return (state << _SEQUENCE_BITS) + made
