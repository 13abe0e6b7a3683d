"""The chunks of a Zarr array, decoded by the zarr library from files that are only read."""

from collections.abc import AsyncIterator, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import zarr
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from hooke.errors import UnreadableImage
from hooke.pixels.arrays import ArrayHeader, check_chunk, check_index, check_shard
from hooke.pixels.decoding import Array
from hooke.pixels.files import MOST_BYTES, Files

_TOGETHER = 10
Selection = tuple[slice | npt.NDArray[np.int64], ...]


def read_blocks(files: Files, path: str, header: ArrayHeader, selections: Iterable[Selection]) -> Iterator[Array]:
    """The pixels of each orthogonal selection of the array at a path.

    A missing chunk has the fill value, as Zarr says. Raises UnreadableImage after the last where all were missing.
    """
    store = ChunkStore(files, header)
    array = zarr.open_array(store, path=path, mode="r", zarr_format=3 if header.zarr_format == 3 else 2)
    # so many chunks are unpacked at once
    together = max(1, min(_TOGETHER, MOST_BYTES // max(1, header.chunk_bytes)))
    for selection in selections:
        with zarr.config.set({"async.concurrency": together}):
            block = np.asarray(array.oindex[selection])
        yield block
    if not store.found:
        raise UnreadableImage(f"none of the chunks at {path!r} is there: all is black, or the copy is incomplete")


class ChunkStore(Store):
    """Zarr's view of files."""

    def __init__(self, files: Files, header: ArrayHeader) -> None:
        super().__init__(read_only=True)
        self._files = files
        self._header = header
        self._nothing: tuple[str, ...] = ()
        self.found = 0

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """The bytes of a metadata document or of a chunk."""
        content = self._files.read(key, *_range(byte_range))
        if key.rpartition("/")[2] not in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"):
            self.found += content is not None
            self._check(content or b"", byte_range)
        return None if content is None else prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several ranges, one after another."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether a file is there."""
        return self._files.read(key, 0, 0) is not None

    async def list(self) -> AsyncIterator[str]:
        """Nothing: an array is read by the keys of its chunks."""
        for key in self._nothing:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Nothing, as `list`."""
        for key in self._nothing:
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """The names in a folder."""
        for name in self._files.children(prefix.strip("/")):
            yield name

    async def set(self, key: str, value: Buffer) -> None:
        """Never: raises ValueError."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Never: raises ValueError."""
        self._check_writable()

    @property
    def supports_writes(self) -> bool:
        """No."""
        return False

    @property
    def supports_deletes(self) -> bool:
        """No."""
        return False

    @property
    def supports_listing(self) -> bool:
        """Folder by folder."""
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def _check(self, content: bytes, byte_range: ByteRequest | None) -> None:
        header = self._header
        at_start = header.index_at_start and byte_range == RangeByteRequest(0, header.index_bytes)
        if not header.index_bytes or (isinstance(byte_range, RangeByteRequest) and not at_start):
            check_chunk(content, header)
        elif at_start:
            check_index(content, header)
        elif byte_range is None and content:
            check_shard(content, header)


def _range(byte_range: ByteRequest | None) -> tuple[int | None, int | None]:
    match byte_range:
        case RangeByteRequest():
            return byte_range.start, byte_range.end
        case OffsetByteRequest():
            return byte_range.offset, None
        case SuffixByteRequest():
            return -byte_range.suffix, None
        case _:
            return None, None
