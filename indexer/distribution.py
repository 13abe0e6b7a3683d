"""Images read and embedded by the workers of a Dask cluster; owner of distributed.

    paths → read (a worker) → digests and thumbnails, told here → what is new → embed (where it was read) → rows

The process that asks is the one that writes, so that the index is that of one process. Pixels stay with the worker that
read them. When a worker is lost, Dask has its work done again by others; what fails even alone is quarantined.
"""

import os
import time
from asyncio import to_thread
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial, wraps
from itertools import chain, groupby, islice
from logging import ERROR
from pathlib import Path
from threading import Lock
from typing import ParamSpec, TypeVar

import numpy as np
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, get_worker

from hooke.embed.base import Embedder, Space, Views
from hooke.embed.fingerprint import check_golden, differences, golden_vector
from hooke.errors import BackendUnavailable, BadInput, HookeError, SpaceMismatch, UnreadableImage
from hooke.settings import ReadingSettings
from hooke.vectors.workers import usable_threads
from indexer.embedding import (
    BATCH,
    BATCH_BYTES,
    Asked,
    Content,
    Embedded,
    HandsOf,
    KeepThumbnail,
    Loaded,
    Model,
    New,
    embedded,
    look,
    raster_bytes,
)
from indexer.sources import Quarantined

CONNECT_SECONDS = 10
PATIENCE_SECONDS = 60
"""How long a cluster may be without a worker before the run gives up."""
_LOOK_SECONDS = 5
_HERE = "127.0.0.1"
_DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""Ctrl-C reaches all processes of a terminal; it is the command's to end them."""
_FIRST_CHUNK = 4
_EMBED_FIRST = 1
"""Priority of what frees memory."""
_CHANGED = UnreadableImage("it changed while it was read; run the same command again")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@contextmanager
def hands_at(workers: str, model: Model) -> Iterator[HandsOf]:
    """Hands that are so many processes of this machine, or the workers of the scheduler at an address.

    Raises BadInput for neither a number nor an address, BackendUnavailable where no scheduler or no worker answers.
    """
    with ExitStack() as stack:
        if workers.isdecimal() and int(workers):
            at: LocalCluster | str = stack.enter_context(_processes(int(workers)))
        elif "://" in workers:
            at = workers
        else:
            raise BadInput(f"--workers {workers}: give a number of processes, or a Dask scheduler's tcp://HOST:PORT")
        client = stack.enter_context(_connected(at))
        yield partial(Workers, client, model)


@contextmanager
def _processes(number: int) -> Iterator[LocalCluster]:
    # encrypted, with keys of this run alone: a scheduler does what it is told, and others may use this machine
    threads = max(1, usable_threads() // number)
    with LocalCluster(
        number,
        threads_per_worker=threads,
        host=_HERE,
        security=True,
        silence_logs=ERROR,
        preload=[_DEAF],
        dashboard_address=None,
        # else its pages for machines are at port 8787, dashboard or not
        scheduler_kwargs={"dashboard_address": f"{_HERE}:0"},
    ) as cluster:
        yield cluster


@contextmanager
def _connected(at: LocalCluster | str) -> Iterator[Client]:
    where = at if isinstance(at, str) else at.scheduler_address
    try:
        client = Client(at, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as exc:
        raise BackendUnavailable(
            f"no Dask scheduler answers at {where} within {CONNECT_SECONDS} s: start one (`dask scheduler`), "
            "or use --workers NUMBER for processes of this machine"
        ) from exc
    except (ValueError, TypeError, RuntimeError) as exc:
        raise BadInput(
            f"--workers {where}: {exc}; give tcp://HOST:PORT, or tls:// with Dask's settings for it"
        ) from exc
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError as exc:
            raise BackendUnavailable(
                f"the Dask scheduler at {where} has no worker: start some (`dask worker {where}`), then run this again"
            ) from exc
        yield client


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a worker makes its embedder of, and what that must come to: the space, and the golden rows' bytes."""

    model: Model
    golden: bytes
    space: Space = field(hash=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the process that asks is told of an image that was read."""

    digest: int
    thumbnail: bytes
    bytes: int


@dataclass(frozen=True, slots=True)
class _Unread:
    """Why a worker could not read an image, and whether the file is there for it."""

    found: Quarantined
    worker: str
    is_there: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk:
    """Images that one task reads."""

    asked: Sequence[Asked]
    read: "Future[list[Loaded | _Unread | None]]"
    told: "Future[list[_Told | _Unread | None]]"


@dataclass(frozen=True, slots=True)
class _Remote(Content):
    """A content whose pixels are with a worker."""

    chunk: _Chunk


class Workers:
    """The workers of a cluster, as `Hands`."""

    def __init__(
        self, client: Client, model: Model, embedder: Embedder, keep: KeepThumbnail, reading: ReadingSettings
    ) -> None:
        self._client = client
        self._keep = keep
        self._reading = reading
        space = embedder.space
        # a worker may have another working directory
        weights = model.weights and model.weights.resolve()
        chosen = replace(model, tiles=space.tiles, weights=weights)
        self.recipe = Recipe(chosen, golden_vector(embedder).tobytes(), space)
        self._size = _FIRST_CHUNK
        self._ahead = 0

    def embedded(self, asked: Iterable[Asked], new: New) -> Generator[Sequence[Embedded], None, None]:
        """See `Hands`. Raises SpaceMismatch and BadInput for a worker that cannot do it, BackendUnavailable."""
        rest = iter(asked)
        first = list(islice(rest, 1))
        with _scheduler_errors():
            self._check([each.path for each in first if is_readable(each.path)])
            # one under way in each thread, one that waits
            self._ahead = sum(self._client.nthreads().values()) + 1
        with closing(self._read(chain(first, rest))) as found:
            yield from self._embedded(new(found))

    def _check(self, paths: Sequence[str]) -> None:
        """Have every worker load the model, and look whether it sees the first image."""
        answers = self._client.run(_ready, self.recipe, paths, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, SpaceMismatch):
                raise answer
            if isinstance(answer, HookeError):
                raise type(answer)(f"worker {worker} is refused: {answer}")
            if isinstance(answer, ImportError):
                raise BadInput(
                    f"worker {worker} cannot run Hooke ({answer}): install it there, with this version's extras"
                )
            if isinstance(answer, Exception):
                raise BackendUnavailable(f"worker {worker} failed: {type(answer).__name__}: {answer}")

    def _read(self, asked: Iterator[Asked]) -> Generator[_Remote | Quarantined | None, None, None]:
        waiting: deque[_Chunk] = deque()
        while chunk := list(islice(asked, self._size)):
            waiting.append(self._begun(chunk))
            if len(waiting) > self._ahead:
                yield from self._read_of(waiting.popleft())
        while waiting:
            yield from self._read_of(waiting.popleft())

    def _begun(self, asked: Sequence[Asked], retries: int = 0) -> _Chunk:
        with _scheduler_errors():
            # not pure: a task of the same paths may have been done in an earlier run
            read = self._client.submit(_read, asked, self.recipe.space, self._reading, pure=False, retries=retries)
            return _Chunk(asked, read, self._client.submit(_tell, read, pure=False, priority=_EMBED_FIRST))

    def _read_of(self, chunk: _Chunk) -> Iterator[_Remote | Quarantined | None]:
        told = self._outcome(chunk.told)
        if not isinstance(told, Exception):
            self._size = _chunk_size([each.bytes for each in told if isinstance(each, _Told)])
            for asked, each in zip(chunk.asked, told, strict=True):
                yield self._content(asked, chunk, each)
        elif len(chunk.asked) == 1:
            yield Quarantined(chunk.asked[0].path, _reason(told))
        else:
            for asked in chunk.asked:
                yield from self._read_of(self._begun([asked], retries=1))

    def _content(self, asked: Asked, chunk: _Chunk, told: _Told | _Unread | None) -> _Remote | Quarantined | None:
        if isinstance(told, _Told):
            self._keep(asked.ordinal, told.thumbnail)
            return _Remote(told.digest, [(asked.ordinal, asked.path)], chunk)
        if isinstance(told, _Unread):
            return told.found if told.is_there or not is_readable(asked.path) else _out_of_sight(told)
        return None

    def _embedded(self, new: Iterator[_Remote]) -> Generator[Sequence[Embedded], None, None]:
        waiting: deque[tuple[list[_Remote], Future[list[Views | Exception]]]] = deque()
        for chunk, contents in groupby(new, key=lambda content: content.chunk):
            group = list(contents)
            waiting.append((group, self._rows(chunk, group)))
            if len(waiting) > self._ahead:
                yield self._rows_of(*waiting.popleft())
        while waiting:
            yield self._rows_of(*waiting.popleft())

    def _rows(self, chunk: _Chunk, contents: Sequence[_Remote]) -> "Future[list[Views | Exception]]":
        digests = [content.digest for content in contents]
        with _scheduler_errors():
            return self._client.submit(
                _embed, self.recipe, chunk.read, digests, pure=False, priority=_EMBED_FIRST, retries=0
            )

    def _rows_of(self, contents: Sequence[_Remote], future: "Future[list[Views | Exception]]") -> list[Embedded]:
        rows = self._outcome(future)
        if not isinstance(rows, Exception):
            return list(zip(contents, rows, strict=True))
        if len(contents[0].chunk.asked) == 1:
            return [(contents[0], UnreadableImage(_reason(rows)))]
        return [result for content in contents for result in self._alone(content)]

    def _alone(self, content: _Remote) -> list[Embedded]:
        ordinal, path = content.images[0]
        chunk = self._begun([Asked(ordinal, path, None)], retries=1)
        same = replace(content, chunk=chunk)
        return [(content, found) for _, found in self._rows_of([same], self._rows(chunk, [same]))]

    def _outcome(self, future: "Future[T]") -> T | Exception:
        """What a task gave, or what it failed with. Raises what is no image's fault."""
        with _scheduler_errors():
            failure = self._failure(future)
            if failure is None:
                return future.result()
        if isinstance(failure, HookeError):
            raise failure
        return failure

    def _failure(self, future: "Future[T]") -> Exception | None:
        seen = time.monotonic()
        while True:
            try:
                failure: Exception | None = future.exception(timeout=min(_LOOK_SECONDS, PATIENCE_SECONDS))
            except TimeoutError:
                if self._client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen >= PATIENCE_SECONDS:
                    raise BackendUnavailable(
                        f"the Dask scheduler has had no worker for {PATIENCE_SECONDS} s: "
                        "start some, and run the same command again"
                    ) from None
            else:
                return failure


@contextmanager
def _scheduler_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, CancelledError) as exc:
        raise BackendUnavailable(
            f"the Dask scheduler is gone ({exc}); what was committed is kept, run the same command again"
        ) from exc


def is_readable(path: str) -> bool:
    """Whether this machine finds an image's file, and may open it; an address is any machine's."""
    from hooke.pixels import is_address, locate

    found = None if is_address(path) else locate(Path(path))
    return is_address(path) or (found is not None and os.access(found.path, os.R_OK))


def _out_of_sight(unread: _Unread) -> Quarantined:
    return replace(
        unread.found,
        reason=f"worker {unread.worker} cannot read it, though this machine can: "
        "give every worker the same folder under the same path, and run the same command again",
    )


def _reason(failure: Exception) -> str:
    if isinstance(failure, KilledWorker):
        return (
            f"each of the last {failure.allowed_failures + 1} workers that took it died of it: "
            "it may need more memory than they have, or crash its decoder"
        )
    return f"workers failed at it three times ({type(failure).__name__}: {failure})"


def _chunk_size(sizes: Sequence[int]) -> int:
    """How many images like these make a batch."""
    return min(BATCH, max(1, BATCH_BYTES * len(sizes) // max(1, sum(sizes)))) if sizes else BATCH


# --- what workers do -------------------------------------------------------------------------------------------------


async def _ready(recipe: Recipe, paths: Sequence[str], dask_worker: Worker) -> None:
    # in a thread: while a model loads the worker must go on to answer its scheduler
    await to_thread(_embedder, recipe, dask_worker)
    for path in paths:
        if not is_readable(path):
            raise BadInput(
                f"it cannot read {path}, which this machine can: give it the same folder under the same path"
            )


def _brief(function: Callable[P, R]) -> Callable[P, R]:
    """The function, its errors without what led to them."""

    @wraps(function)
    def brief(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as exc:
            # a traceback too deep to be pickled (RecursionError) would leave the client waiting for ever
            raise exc.with_traceback(None) from None

    return brief


@_brief
def _read(asked: Sequence[Asked], space: Space, reading: ReadingSettings) -> list[Loaded | _Unread | None]:
    from hooke.pixels import shared_file_reader

    reader = shared_file_reader(get_worker().state.nthreads)
    found = [look(each, space, reader, reading) for each in asked]
    return [_unread(each) if isinstance(each, Quarantined) else each for each in found]


def _unread(found: Quarantined) -> _Unread:
    return _Unread(found, get_worker().address, is_readable(found.path))


@_brief
def _tell(read: Sequence[Loaded | _Unread | None]) -> list[_Told | _Unread | None]:
    return [
        _Told(each.digest, each.thumbnail, raster_bytes(each.raster)) if isinstance(each, Loaded) else each
        for each in read
    ]


@_brief
def _embed(recipe: Recipe, read: Sequence[Loaded | _Unread | None], digests: Sequence[int]) -> list[Views | Exception]:
    """The rows of some of the contents that were read."""
    # by digest: what a lost worker had read is read again, and may have changed
    there = {each.digest: each for each in read if isinstance(each, Loaded)}
    wanted = [there[digest] for digest in digests if digest in there]
    rows = {content.digest: found for content, found in embedded(_embedder(recipe, get_worker()), wanted)}
    return [rows.get(digest, _CHANGED) for digest in digests]


_loading = Lock()


def _embedder(recipe: Recipe, worker: Worker) -> Embedder:
    # one at a time: a worker has several threads, and one model
    with _loading:
        return _loaded(recipe, worker.address, worker.state.nthreads)


@lru_cache(1)
def _loaded(recipe: Recipe, worker: str, threads: int) -> Embedder:
    """The embedder of a worker. Raises SpaceMismatch where it is another than that of the process that asks."""
    from hooke.embed.timm import load_embedder

    model, space = recipe.model, recipe.space
    embedder = load_embedder(model.name, model.weights, threads=threads, tiles=space.tiles, device=model.device)
    if embedder.space.fingerprint != space.fingerprint:
        raise SpaceMismatch(
            f"worker {worker} is refused: it makes vectors of another space ({differences(space, embedder.space)}): "
            "give it the weights and the version of Hooke that are here, or stop it"
        )
    try:
        check_golden(embedder, np.frombuffer(recipe.golden, np.float32).reshape(-1, space.dim))
    except SpaceMismatch as exc:
        raise SpaceMismatch(
            f"worker {worker} is refused: it computes other vectors from the same weights than this machine does: "
            "give it the versions of PyTorch and timm that are here, or stop it"
        ) from exc
    return embedder
