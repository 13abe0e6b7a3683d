"""Where an index keeps its vectors: in files of its directory, or in a cluster, which the directory then remembers."""

import json
from dataclasses import dataclass
from pathlib import Path

from hooke.errors import BadInput, Conflict, CorruptIndex
from hooke.index import IndexDirectory
from hooke.settings import ClusterSettings
from hooke.store.location import Location, read_location
from hooke.vectors.base import VectorStore

METHODS = ("flat", "hnsw", "int8_hnsw", "bbq_hnsw")
"""How a cluster finds neighbours: `flat` exactly, the others by a graph (`exact: false`), of floats or quantised."""
_FILE = "cluster.json"


@dataclass(frozen=True, slots=True)
class Place:
    """A location in a cluster, and the method of its index."""

    location: Location
    method: str = METHODS[0]

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadInput(f"vector method {self.method!r}: choose one of {', '.join(METHODS)}")


def settle_place(index: IndexDirectory, place: Place, segments: tuple[str, ...]) -> None:
    """Remember where vectors go. Raises Conflict where there are vectors elsewhere already."""
    known = _remembered(index)
    if known == place:
        return
    if known is not None or segments:
        where = known.location if known else index.vectors
        raise Conflict(
            f"this index has its vectors in {where} already: index into a new directory to put them elsewhere"
        )
    index.vectors.mkdir(parents=True, exist_ok=True)
    temporary = index.vectors / f"{_FILE}.tmp"
    temporary.write_text(json.dumps({"location": str(place.location), "method": place.method}), encoding="utf-8")
    temporary.replace(index.vectors / _FILE)


def open_vectors(
    index: IndexDirectory, fingerprint: str, cluster: ClusterSettings, most_bytes: int | None = None
) -> VectorStore:
    """The vectors of an index in one space. most_bytes: as `SegmentStore` says."""
    place = _remembered(index)
    if place is None:
        from hooke.vectors.segments import SegmentStore

        return SegmentStore(index.vectors, fingerprint, most_bytes)
    try:
        from hooke.vectors.elasticsearch import ElasticsearchVectors
    except ModuleNotFoundError as exc:
        raise BadInput(f"vectors in a cluster need {exc.name}: install Hooke's extra `elasticsearch`") from exc
    return ElasticsearchVectors(place.location, cluster, fingerprint, method=place.method)  # type: ignore[arg-type]  # one of METHODS


def _remembered(index: IndexDirectory) -> Place | None:
    path: Path = index.vectors / _FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Place(read_location(content["location"]), content["method"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, BadInput) as exc:
        raise CorruptIndex(f"{path} does not say where the vectors are ({exc}): restore it from a backup") from exc
