"""What the readers of one state share."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Cache:
    """Entries of one committed state: they can never be stale, since it does not change. The least used go first."""

    def __init__(self, state: int, size: int = 4096) -> None:
        self.state = state
        self._size = size
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, object] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The entry of a key, made when it is missing; two threads may make it twice, one is kept."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]  # type: ignore[return-value]  # a key always has the type of its maker
        made = make()
        self.put(key, made)
        return made

    def get_all(self, keys: Iterable[K], make: Callable[[list[K]], Iterable[T]]) -> dict[K, T]:
        """The entries of several keys; `make` makes all that are missing at once, in their order."""
        wanted = list(dict.fromkeys(keys))
        with self._lock:
            found = {key: self._entries[key] for key in wanted if key in self._entries}
        missing = [key for key in wanted if key not in found]
        for key, made in zip(missing, make(missing) if missing else (), strict=True):
            found[key] = made
            self.put(key, made)
        return found  # type: ignore[return-value]  # a key always has the type of its maker

    def has(self, key: Hashable) -> bool:
        """Whether there is an entry now."""
        with self._lock:
            return key in self._entries

    def put(self, key: Hashable, made: object) -> None:
        """Keep an entry."""
        with self._lock:
            self._entries[key] = made
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)


class NewestCache:
    """The cache of the newest state that was read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cache = Cache(-1)

    def of(self, state: int) -> Cache:
        """The cache of a state; a passing one for a state that is no longer the newest."""
        with self._lock:
            if self._cache.state < state:
                self._cache = Cache(state)
            # a reader that began just before a commit must not fill the newer state's cache
            return self._cache if self._cache.state == state else Cache(state)
