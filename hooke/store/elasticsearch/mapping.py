"""The indices of one Hooke index: their names, settings and explicit mappings.

`PREFIX-images-UID`, `PREFIX-studies-UID` and `PREFIX-sets-UID`. A document is one version of a record: `born` in one
state of the index, `died` in a later one, and a state is an alias whose filter lets through what was alive in it. So
a commit is one swap of aliases, a reader's state never changes, and an update touches what changed and nothing else.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b

from hooke.fields import FACET_FIELDS
from hooke.model import Level, Method
from hooke.settings import ClusterSettings
from hooke.store.elasticsearch.cluster import Body

VERSION = 1
BLOCK = 48
"""Ordinals in a block of the bitmaps that aggregations make: a sum of distinct powers of two is exact below 2**53."""
MAX_PAGE = 10_000
_SEQUENCE_BITS = 36
_PLAIN_KEY = re.compile(r"[a-z0-9_]{1,50}")

_KEYWORD: Body = {"type": "keyword"}
_UNSORTED: Body = {"type": "keyword", "doc_values": False}
_WORDS: Body = {"type": "text", "analyzer": "whitespace", "norms": False, "position_increment_gap": 100}
_LONG: Body = {"type": "long"}

# prose that a study lends to all its images is searched through the study: see `document.lent_values`
_LENT: Body = {f"lent_{name}": body for name, body in (("word", _UNSORTED), ("token", _UNSORTED), ("value", _UNSORTED))}
_LENT |= {"lent_phrase": _WORDS, "lent_field_phrase": _WORDS}

_RECORD: Body = {
    "born": _LONG,
    "died": _LONG,
    "gone": {"type": "boolean"},
    "ordinal": _LONG,
    "bit": {"type": "double", "index": False},
    "id": _KEYWORD,
    "study": _LONG,
    "part": _KEYWORD,
    "digest": {"type": "keyword", "index": False, "doc_values": False},
    "pixels": {"type": "keyword", "index": False},
    "with_pixels": {"type": "boolean"},
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
    "method": {"properties": {str(method): {"type": "long", "index": False} for method in Method}},
    "record": {"type": "object", "enabled": False},
}
_SET: Body = {
    "field": _KEYWORD,
    "seq": _LONG,
    "terms": {"type": "object", "enabled": False},
    "values": {"type": "object", "enabled": False},
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one index's parts in a cluster."""

    prefix: str
    uid: str

    @property
    def sets(self) -> str:
        """The index of distinct sets of values."""
        return f"{self.prefix}-sets-{self.uid}"

    def records(self, level: Level) -> str:
        """The index of a level's records, all versions of them."""
        return f"{self.current(level)}-{self.uid}"

    def state(self, level: Level, number: int) -> str:
        """The alias of a level in one committed state."""
        return f"{self.records(level)}-{number}"

    def current(self, level: Level) -> str:
        """The alias of a level in its newest state, for whoever looks into the cluster."""
        return f"{self.prefix}-{'studies' if level is Level.STUDY else 'images'}"


def alive(number: int) -> Body:
    """The filter of the versions that were alive in a state; it names only the exceptions, which are few."""
    exceptions: list[Body] = [
        {"range": {"born": {"gt": number}}},
        {"range": {"died": {"lte": number}}},
        {"term": {"gone": True}},
    ]
    return {"bool": {"must_not": exceptions}}


def record_index(level: Level, uid: str, settings: ClusterSettings) -> Body:
    """What an index of records is created with."""
    shards = settings.shards if level is Level.IMAGE else 1
    properties = _RECORD | (_LENT if level is Level.STUDY else {})
    return _index(uid, str(level), shards, properties, settings)


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
    """Where a record says which set of values it has in a field; the facets every archive has are mapped one by one."""
    return f"facet.{name}" if name in FACET_FIELDS else f"column.{field_key(name)}"


def field_key(name: str) -> str:
    """A field's name where Elasticsearch gives some characters a meaning; long and odd names become a digest.

    >>> field_key("size_x"), field_key("größe")
    ('size_x', '~68b31e5ebdf4f3c6')
    """
    if _PLAIN_KEY.fullmatch(name):
        return name
    return "~" + blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def sequence_number(state: int, made: int) -> int:
    """The place of a set in the order in which they were made; a later state's are all later."""
    return (state << _SEQUENCE_BITS) + made
