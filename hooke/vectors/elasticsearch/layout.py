"""A space in Elasticsearch: the index, its mapping, and the documents of a segment.

    <segment>:<row>             segment, ordinal, vector          one a row, by ordinal
    <segment>:columns:<part>    columns: rows, dim, ordinals, digests, places, checksum, never searched;
                                written last, so that a segment that has them has all its rows

A reader learns from the columns which image every row belongs to, and need not ask for that row by row.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from hooke.errors import CorruptIndex, SpaceMismatch
from hooke.settings import ClusterSettings
from hooke.store.elasticsearch.cluster import Body
from hooke.store.location import Location
from hooke.vectors.base import Block, Vectors
from hooke.vectors.columns import Columns

Method = Literal["flat", "hnsw", "int8_hnsw", "bbq_hnsw"]
"""flat: every allowed row is scored, exactly. The others search a graph, of float32 rows or of quantised ones."""

FLAT: Method = "flat"
FORMAT = 2
ROWS_A_PART = 65_536


@dataclass(frozen=True, slots=True)
class Space:
    """What an index was made for."""

    fingerprint: str
    dim: int
    method: Method


@dataclass(frozen=True, slots=True)
class Part:
    """One document of a segment's columns."""

    parts: int
    rows: int
    dim: int
    columns: Columns


def index_name(location: Location, fingerprint: str) -> str:
    """The index of a space."""
    return f"{location.prefix}-vectors-{fingerprint[:12]}"


def mapping(space: Space) -> Body:
    """The mapping of a space's index.

    Rows are only about of unit length, which `dot_product` refuses and `cosine` would change; `max_inner_product`
    stores them as they are.
    """
    vector = {
        "type": "dense_vector",
        "element_type": "float",
        "dims": space.dim,
        "similarity": "max_inner_product",
        "index_options": {"type": space.method},
    }
    return {
        "dynamic": "strict",
        "_meta": {"hooke_vectors": FORMAT, "fingerprint": space.fingerprint, "method": space.method},
        "properties": {
            "segment": {"type": "keyword"},
            "ordinal": {"type": "long"},
            "vector": vector,
            "columns": {"type": "object", "enabled": False},
        },
    }


def index_settings(settings: ClusterSettings) -> Body:
    """The settings of a new index; it is refreshed when a segment is whole, and not before."""
    copies: Body = (
        {"auto_expand_replicas": "0-1"} if settings.replicas is None else {"number_of_replicas": settings.replicas}
    )
    return {"number_of_shards": settings.shards, "refresh_interval": "-1", **copies}


def read_space(index: str, mappings: Body, fingerprint: str) -> Space:
    """What an index says it was made for. Raises CorruptIndex for another format, SpaceMismatch for another space."""
    meta = mappings.get("_meta", {})
    if meta.get("hooke_vectors") != FORMAT or meta.get("method") not in get_args(Method):
        raise CorruptIndex(f"{index}: of a format that this version does not read; index anew")
    if meta["fingerprint"] != fingerprint:
        raise SpaceMismatch(
            f"{index} is of space {meta['fingerprint'][:20]}…, not {fingerprint[:20]}…; "
            "load the index's model and weights, or index anew"
        )
    return Space(fingerprint, int(mappings["properties"]["vector"]["dims"]), meta["method"])


def row_ids(segment: str, rows: Iterable[int]) -> list[str]:
    """The documents of a segment's rows."""
    return [f"{segment}:{row}" for row in rows]


def part_id(segment: str, part: int) -> str:
    """The document of a part of a segment's columns."""
    return f"{segment}:columns:{part}"


def segment_ids(segment: str, rows: int) -> list[str]:
    """All documents of a segment."""
    parts = len(range(0, rows, ROWS_A_PART))
    return row_ids(segment, range(rows)) + [part_id(segment, part) for part in range(parts)]


def documents(segment: str, block: Block) -> Iterator[tuple[str, Body]]:
    """The documents of a segment, whose rows are sorted by ordinal, with their ids; the columns last."""
    for row, (ordinal, vector) in enumerate(zip(block.ordinals.tolist(), block.vectors, strict=True)):
        yield f"{segment}:{row}", {"segment": segment, "ordinal": ordinal, "vector": encode(vector)}
    rows, dim = block.vectors.shape
    parts = range(0, rows, ROWS_A_PART)
    for part, start in enumerate(parts):
        ordinals = block.ordinals[start : start + ROWS_A_PART].astype("<u4").tobytes()
        digests = block.digests[start : start + ROWS_A_PART].astype("<u8").tobytes()
        places = b"" if block.places is None else block.places[start : start + ROWS_A_PART].astype("<u4").tobytes()
        columns = {
            "part": part,
            "parts": len(parts),
            "rows": rows,
            "dim": dim,
            "ordinals": b64encode(ordinals).decode(),
            "digests": b64encode(digests).decode(),
            "places": b64encode(places).decode(),
        }
        columns["sha256"] = _checksum(columns)
        yield part_id(segment, part), {"segment": segment, "columns": columns}


def read_part(index: str, document: Body, number: int) -> Part:
    """A part of a segment's columns. Raises CorruptIndex naming a document that is missing or not as it was written."""
    try:
        columns = document["_source"]["columns"]
        if columns["sha256"] != _checksum(columns) or columns["part"] != number:
            raise ValueError("its checksum does not hold")
        ordinals = np.frombuffer(b64decode(columns["ordinals"]), dtype="<u4")
        digests = np.frombuffer(b64decode(columns["digests"]), dtype="<u8")
        places = np.frombuffer(b64decode(columns["places"]), dtype="<u4")
        read = Columns(ordinals, digests, places.reshape(len(ordinals), len(places) // len(ordinals)))
        return Part(int(columns["parts"]), int(columns["rows"]), int(columns["dim"]), read)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as exc:
        raise CorruptIndex(f"{index}/{document.get('_id')}: missing or unreadable; index anew") from exc


def encode(vector: Vectors) -> str:
    """A row as Elasticsearch takes and gives it: big-endian float32 in base64."""
    return b64encode(vector.astype(">f4").tobytes()).decode()


def decode(texts: Iterable[str], dim: int) -> Vectors:
    """Rows as Elasticsearch gives them: float32 (rows, dim)."""
    return np.frombuffer(b"".join(map(b64decode, texts)), dtype=">f4").astype(np.float32).reshape(-1, dim)


def _checksum(columns: dict[str, Any]) -> str:  # JSON as Elasticsearch gives it
    names = ("part", "parts", "rows", "dim", "ordinals", "digests", "places")
    text = "\n".join(f"{name} {columns[name]}" for name in names)
    return hashlib.sha256(text.encode()).hexdigest()
