"""The store that an index directory remembers: a file of its own, or a cluster."""

from pathlib import Path

from hooke.errors import BadInput, Conflict
from hooke.index import IndexDirectory
from hooke.settings import ClusterSettings
from hooke.store.base import MetadataStore
from hooke.store.database import LEDGER, application_of
from hooke.store.location import Location
from hooke.store.sqlite import SqliteStore


def open_store(index: IndexDirectory, cluster: ClusterSettings, location: Location | None = None) -> MetadataStore:
    """Open the store of an index.

    location: where a new index keeps its records; None: in the directory. An existing index remembers.
    Raises Conflict for a location where the directory has its records itself, BackendUnavailable, CorruptIndex.
    """
    application = application_of(index.metadata)
    if application == LEDGER or (application is None and location is not None):
        return open_cluster(index.metadata, cluster, location)
    if location is not None:
        raise Conflict(
            f"{index.root} keeps its records itself: move them with "
            f"`hooke copy --from {index.root} --to {location}`, or index into a new directory"
        )
    return SqliteStore(index.metadata)


def is_clustered(metadata: Path) -> bool:
    """Whether an index has its records in a cluster."""
    return application_of(metadata) == LEDGER


def open_cluster(metadata: Path, cluster: ClusterSettings, location: Location | None = None) -> MetadataStore:
    """The store of an index in a cluster, by the file that remembers it."""
    try:
        from hooke.store.elasticsearch import ElasticsearchStore
    except ModuleNotFoundError as exc:
        raise BadInput(f"an index in a cluster needs {exc.name}: install Hooke's extra `elasticsearch`") from exc
    return ElasticsearchStore(metadata, cluster, location)
