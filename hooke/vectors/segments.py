"""Vectors in immutable segment directories: checksummed, memory-mapped, searched exactly.

    <kind>-<number>/  rows.f32  ordinals.u32  digests.u64  places.u32  meta.json

Arrays are raw and little-endian, row by row, by ordinal; rows of whole images have no places.
A segment is written under a temporary name, synced and renamed: it is whole, or it is not there.
"""

import hashlib
import json
import mmap
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from functools import partial
from os import O_RDONLY, close, fsync
from os import open as open_directory
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hooke.errors import BadInput, CorruptIndex, NoSpace, SpaceMismatch
from hooke.vectors.approximate import Trained
from hooke.vectors.base import Block, Vectors, of_kind, segment_name
from hooke.vectors.checked import digest
from hooke.vectors.codes import cached_codes
from hooke.vectors.columns import Segment
from hooke.vectors.reader import SegmentReader, check_block, sorted_block
from hooke.vectors.trained import Lists, named_segments, write_trained
from hooke.views import Kind

FORMAT = 2
_ROWS, _ORDINALS, _DIGESTS, _PLACES, _META = "rows.f32", "ordinals.u32", "digests.u64", "places.u32", "meta.json"
_TYPES = {_ROWS: "<f4", _ORDINALS: "<u4", _DIGESTS: "<u8", _PLACES: "<u4"}
_NAME = re.compile(rf"({'|'.join(Kind)})-[0-9a-f]{{32}}")
_OURS = re.compile(rf"(tmp-)?{_NAME.pattern}")
_FULL = (ENOSPC, EDQUOT, EFBIG)
# Below this, reading all of a segment to check it costs less than a search that finds it broken later.
_CHECKED_AT_OPEN_BYTES = 2**20
# A second map keeps a second file open; a smaller file is soon in memory, read ahead or not.
_SCATTERED_FROM_BYTES = 2**26
Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class _Meta:
    kind: Kind
    rows: int
    dim: int
    checksums: dict[str, str]

    @property
    def types(self) -> dict[str, str]:
        return _types(self.kind)

    def shape(self, file: str) -> tuple[int, ...]:
        widths = {_ROWS: (self.dim,), _PLACES: (self.kind.place_width,)}
        return (self.rows, *widths.get(file, ()))

    def size(self, file: str) -> int:
        return int(np.prod(self.shape(file))) * np.dtype(_TYPES[file]).itemsize


class SegmentStore:
    """The segments of one space in a directory; one writer at a time, any number of readers."""

    def __init__(self, directory: Path, fingerprint: str, most_bytes: int | None = None) -> None:
        """most_bytes: what an exact search may have to read before trained lists, if there are, answer in its place."""
        self._directory = directory
        self._fingerprint = fingerprint
        self._most_bytes = most_bytes

    def append(self, block: Block) -> str:
        """Write one segment, durably, and return its name. Raises ZeroVector, BadInput, NoSpace."""
        check_block(block)
        return self.append_sorted([sorted_block(block)], block.kind)

    def append_sorted(self, blocks: Iterable[Block], kind: Kind) -> str:
        """The same, of blocks of sound rows that follow each other by ordinal: only one of them is in memory."""
        name = segment_name(kind)
        unfinished = self._directory / f"tmp-{name}"
        with _disk_errors(self._directory):
            try:
                unfinished.mkdir(parents=True)
                self._write(unfinished, blocks, kind)
                unfinished.rename(self._directory / name)
                _sync(self._directory)
            except BaseException:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
        return name

    def read(self, segments: Sequence[str], kind: Kind = Kind.WHOLE) -> SegmentReader:
        """Open those of a kind, oldest first: sizes are checked, small segments by checksum too.

        Raises CorruptIndex naming the file that does not hold, SpaceMismatch for a segment of another space.
        """
        names = of_kind(segments, kind)
        lists = None
        if self._most_bytes is not None:
            lists = Lists(self.trained_file(kind), self._fingerprint, tuple(names), self._most_bytes)
        return SegmentReader(self.open(names), lists=lists)

    def save_trained(self, trained: Trained, kind: Kind) -> int:
        """Put new lists in place of a kind's former ones, for open readers too. Returns their bytes."""
        with _disk_errors(self._directory):
            write_trained(self.trained_file(kind), trained, self._fingerprint)
            return self.trained_file(kind).stat().st_size

    def trained_segments(self) -> set[str]:
        """The segments that trained lists name, of all kinds."""
        return {name for kind in Kind for name in named_segments(self.trained_file(kind), self._fingerprint)}

    def trained_file(self, kind: Kind) -> Path:
        """The trained lists of a kind, which `hooke train` makes: delete it at will."""
        return self._directory / "approximate" / f"{kind}.lists"

    def open(self, segments: Sequence[str]) -> list[Segment]:
        """The named segments' arrays, checked as `read` says."""
        opened = [self._open(name) for name in segments]
        dims = {segment.rows.shape[1] for segment in opened}
        if len(dims) > 1:
            raise CorruptIndex(
                f"{self._directory}: segments of one space have rows of {sorted(dims)} values; index anew"
            )
        return opened

    def verify(self, segments: Sequence[str]) -> None:
        """Read the named segments whole. Raises CorruptIndex naming the first file whose checksum does not hold."""
        for name in segments:
            self._check_sums(name, self._meta(name))

    def discard_except(self, segments: Sequence[str]) -> None:
        """Remove segments that no snapshot names: what a killed indexer left behind."""
        if not self._directory.is_dir():
            return
        with _disk_errors(self._directory):
            for entry in self._directory.iterdir():
                if _OURS.fullmatch(entry.name) and entry.name not in segments:
                    shutil.rmtree(entry)
            for entry in self._cache.iterdir() if self._cache.is_dir() else ():
                if entry.stem not in segments:
                    entry.unlink(missing_ok=True)

    @property
    def _cache(self) -> Path:
        """Files made from segments, which are made again when they are missed."""
        return self._directory / "cache"

    def size_bytes(self, segments: Sequence[str]) -> int:
        """Bytes on disk of the named segments."""
        metas = {name: self._meta(name) for name in segments}
        return sum(
            sum(meta.size(file) for file in meta.types) + (self._directory / name / _META).stat().st_size
            for name, meta in metas.items()
        )

    def _write(self, folder: Path, blocks: Iterable[Block], kind: Kind) -> None:
        rows = dim = 0
        types = _types(kind)
        sums = {file: hashlib.sha256() for file in types}
        with ExitStack() as files:
            opened = {file: files.enter_context((folder / file).open("wb")) for file in types}
            for block in blocks:
                rows, dim = rows + len(block.ordinals), block.vectors.shape[1]
                arrays = (block.vectors, block.ordinals, block.digests, block.places)
                for (file, type_), array in zip(types.items(), arrays, strict=False):
                    content = np.ascontiguousarray(array, dtype=type_).reshape(-1).view(np.uint8).data
                    sums[file].update(content)
                    opened[file].write(content)
            for each in opened.values():
                each.flush()
                fsync(each.fileno())
        body = {
            "format": FORMAT,
            "fingerprint": self._fingerprint,
            "kind": kind,
            "rows": rows,
            "dim": dim,
            "byte_order": "little",
            "types": types,
            "sha256": {file: each.hexdigest() for file, each in sums.items()},
        }
        meta = json.dumps({"body": body, "sha256": digest(body)}, sort_keys=True, indent=1)
        _write_synced(folder / _META, memoryview(meta.encode()))
        _sync(folder)

    def _open(self, name: str) -> Segment:
        meta = self._meta(name)
        if sum(meta.size(file) for file in meta.types) <= _CHECKED_AT_OPEN_BYTES:
            self._check_sums(name, meta)
        arrays = {file: self._map(name, file, meta) for file in meta.types}
        arrays.setdefault(_PLACES, np.empty(meta.shape(_PLACES), np.uint32))
        rows: Vectors = arrays[_ROWS]  # type: ignore[assignment]  # as are the others, of a dtype by _TYPES
        codes = partial(cached_codes, self._cache / f"{name}.sq8", rows, meta.checksums[_ROWS])
        scattered = _map_scattered(self._directory / name / _ROWS, rows)
        return Segment(arrays[_ORDINALS], arrays[_DIGESTS], arrays[_PLACES], rows, codes, scattered)  # type: ignore[arg-type]

    def _map(self, name: str, file: str, meta: _Meta) -> Array:
        path = self._directory / name / file
        with _whole(path):
            size = path.stat().st_size
            if size != meta.size(file):
                raise CorruptIndex(f"{path}: {size} bytes instead of {meta.size(file)}; index anew")
            return np.asarray(np.memmap(path, dtype=_TYPES[file], mode="r", shape=meta.shape(file)))

    def _meta(self, name: str) -> _Meta:
        """A segment's metadata, proven by its own checksum, of this space and this format."""
        path = self._directory / name / _META
        if not _NAME.fullmatch(name):
            raise CorruptIndex(f"{path}: {name!r} is no name of a segment; index anew")
        with _whole(path):
            content = json.loads(path.read_text(encoding="utf-8"))
            body = content["body"]
            if digest(body) != content["sha256"]:
                raise CorruptIndex(f"{path}: its checksum does not hold; index anew")
            kind = Kind(name.partition("-")[0])
            meta = _Meta(kind, int(body["rows"]), int(body["dim"]), dict(body["sha256"]))
        if body["fingerprint"] != self._fingerprint:
            raise SpaceMismatch(
                f"segment {name} is of space {body['fingerprint'][:12]}, not {self._fingerprint[:12]}; "
                "load the index's model and weights, or index anew"
            )
        if body["format"] != FORMAT or body["types"] != meta.types or body["byte_order"] != "little":
            raise CorruptIndex(f"{path}: of a format that this version does not read; index anew")
        return meta

    def _check_sums(self, name: str, meta: _Meta) -> None:
        for file in meta.types:
            path = self._directory / name / file
            with _whole(path), path.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != meta.checksums.get(file):
                raise CorruptIndex(f"{path}: its checksum does not hold; index anew")


def _map_scattered(path: Path, rows: Vectors) -> Vectors | None:
    """Rows mapped such that the system reads no more of them than is asked for."""
    if rows.nbytes < _SCATTERED_FROM_BYTES or not hasattr(mmap, "MADV_RANDOM"):
        return None
    with _whole(path), path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped.madvise(mmap.MADV_RANDOM)
    scattered: Vectors = np.frombuffer(mapped, dtype=rows.dtype).reshape(rows.shape)
    return scattered


def _types(kind: Kind) -> dict[str, str]:
    """The files of a segment and the types of their numbers; of rows that need no place, none of places."""
    return {file: type_ for file, type_ in _TYPES.items() if file != _PLACES or kind.place_width}


def _write_synced(path: Path, content: memoryview) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = open_directory(folder, O_RDONLY)
    try:
        fsync(handle)
    finally:
        close(handle)


@contextmanager
def _disk_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise NoSpace(f"{directory}: no space left to write vectors; free some and run again") from exc
        raise BadInput(f"{directory}: cannot be written ({exc.strerror}); check its permissions") from exc


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CorruptIndex(f"{path}: missing or unreadable; index anew") from exc
