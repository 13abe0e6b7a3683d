"""What is derived from a snapshot, and is the same for every question asked of it."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from hooke.store.base import MetadataReader
from ontologies.catalogue import Catalogue

T = TypeVar("T")


class PerSnapshot(Generic[T]):
    """Keeps what was made of the newest snapshot that was asked for; safe to share between threads."""

    def __init__(self, make: Callable[[MetadataReader, Catalogue], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._kept: tuple[tuple[int, str], T] | None = None

    def of(self, reader: MetadataReader, catalogue: Catalogue) -> T:
        """What belongs to the reader's snapshot, made at first use."""
        key = (reader.snapshot.id, catalogue.version)
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, self._make(reader, catalogue))
            return self._kept[1]

    def forget(self) -> None:
        """Let go of what was made."""
        with self._lock:
            self._kept = None
