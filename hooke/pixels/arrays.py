"""The header of a Zarr array, of version 2 or 3, and what its chunks may be, told before they are decoded.

zarr decodes whatever the metadata says; here a codec has to be known, and a chunk that unpacks to more than its shape
is refused before anything is unpacked.
"""

import bz2
import lzma
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import Protocol

import numpy as np
import zstandard

from hooke.errors import UnreadableImage
from hooke.pixels.files import Files, read_json

_COMPRESSORS = frozenset({"blosc", "zstd", "gzip", "zlib", "bz2", "lzma", "lz4"})
_OTHER_CODECS = frozenset({"bytes", "transpose", "crc32c", "delta", "shuffle", "fixedscaleoffset", "bitround"})
_V3_TYPES = frozenset({"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))})
_V3_TYPES |= {"float16", "float32", "float64"}


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """A Zarr array's metadata: `chunk` is what is compressed by itself, `shard` what lies in one file."""

    zarr_format: int
    shape: tuple[int, ...]
    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    itemsize: int
    codecs: tuple[str, ...]
    index_checksum: int | None = None
    """Bytes of the checksum of a shard's index; None where chunks are in no shard."""
    index_at_start: bool = False

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, unpacked."""
        return prod(self.chunk) * self.itemsize

    @property
    def index_bytes(self) -> int:
        """Bytes of a shard's index, 0 where chunks are in no shard: zarr v3, sharding codec 1.0: pairs of uint64."""
        if self.index_checksum is None:
            return 0
        chunks = prod(shard // chunk for shard, chunk in zip(self.shard, self.chunk, strict=True))
        return chunks * 16 + self.index_checksum


def read_header(files: Files, path: str) -> ArrayHeader:
    """The header of the array at a path. Raises UnreadableImage where there is none that can be read."""
    for name, parse in (("zarr.json", _version_3), (".zarray", _version_2)):
        content = read_json(files, f"{path}/{name}" if path else name)
        if content is not None:
            header = parse(_mapping(content, "array metadata"))
            if len(header.shape) != len(header.chunk) or min((*header.chunk, *header.shard), default=0) < 1:
                raise UnreadableImage(f"an array of shape {header.shape} in chunks of {header.chunk}")
            return header
    raise UnreadableImage(f"there is no Zarr array at {path!r}; copy the image again, with all its levels")


def check_shard(content: bytes, header: ArrayHeader) -> None:
    """As `check_chunk`, for each chunk of a whole shard."""
    start = 0 if header.index_at_start else len(content) - header.index_bytes
    if start < 0:
        raise UnreadableImage("a shard is cut short")
    index = content[start : start + header.index_bytes]
    check_index(index, header)
    for offset, size in _places(index):
        check_chunk(content[offset : offset + size], header)


def check_index(content: bytes, header: ArrayHeader) -> None:
    """Refuse a shard's index that is taken for a chunk: as the index it is read unchecked."""
    if header.index_at_start and any(offset < header.index_bytes for offset, _ in _places(content)):
        raise UnreadableImage("a shard is damaged: a chunk lies in its index")


def _places(index: bytes) -> list[tuple[int, int]]:
    """The offset and the length of each chunk of a shard that is there."""
    pairs = np.frombuffer(index, "<u8", len(index) // 16 * 2).reshape(-1, 2).tolist()
    return [(offset, size) for offset, size in pairs if offset < 2**63]


def check_chunk(content: bytes, header: ArrayHeader) -> None:
    """Refuse a chunk that unpacks to more bytes than its shape has."""
    # filters such as shuffle keep the size, a checksum adds 4
    most = header.chunk_bytes + 4
    name = next((codec for codec in reversed(header.codecs) if codec in _COMPRESSORS), None)
    if name is None or not content:
        return
    try:
        size = _unpacked_size(name, content, most + 1)
    except (zstandard.ZstdError, zlib.error, lzma.LZMAError, OSError, EOFError, struct.error) as exc:
        raise UnreadableImage(f"a chunk is damaged: it is no {name}") from exc
    if size > most:
        raise UnreadableImage(f"a chunk unpacks to more than the {header.chunk_bytes} bytes that its shape has")


def _unpacked_size(name: str, content: bytes, most: int) -> int:
    """The bytes that a chunk unpacks to by its header, or, where that does not say, as many as `most` at most."""
    match name:
        case "blosc":
            return int(struct.unpack_from("<I", content, 4)[0])
        case "lz4":
            return int(struct.unpack_from("<I", content, 0)[0])
        case "zstd":
            size = int(zstandard.get_frame_parameters(content).content_size)
            if size != zstandard.CONTENTSIZE_UNKNOWN:
                return size
            with zstandard.ZstdDecompressor().stream_reader(BytesIO(content), read_across_frames=True) as stream:
                return len(stream.read(most))
        case "bz2":
            return _begun_size(bz2.BZ2Decompressor(), content, most)
        case "lzma":
            return _begun_size(lzma.LZMADecompressor(), content, most)
        case _:  # gzip and zlib, told apart by zlib itself
            return _begun_size(zlib.decompressobj(wbits=47), content, most)


class _Decompressor(Protocol):
    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _begun_size(decompressor: _Decompressor, content: bytes, most: int) -> int:
    size = len(decompressor.decompress(content, most))
    # no writer of Zarr packs a chunk in parts, and each could unpack to anything
    if decompressor.unused_data.strip(b"\0"):
        raise UnreadableImage("a chunk is damaged: there are bytes behind its end")
    return size


def _version_2(content: Mapping[str, object]) -> ArrayHeader:
    dtype = content.get("dtype")
    if not isinstance(dtype, str) or np.dtype(dtype).kind not in "biuf":
        raise UnreadableImage(f"pixels of type {str(dtype)[:40]!r} are no intensities")
    filters = content.get("filters") or []
    compressor = content.get("compressor")
    codecs = [*(filters if isinstance(filters, list) else []), *([compressor] if compressor else [])]
    chunk = _lengths(content, "chunks")
    names = _known([str(_mapping(codec, "a codec").get("id")) for codec in codecs])
    return ArrayHeader(2, _lengths(content, "shape"), chunk, chunk, np.dtype(dtype).itemsize, names)


def _version_3(content: Mapping[str, object]) -> ArrayHeader:
    dtype = content.get("data_type")
    if dtype not in _V3_TYPES:
        raise UnreadableImage(f"pixels of type {str(dtype)[:40]!r} are no intensities")
    grid = _mapping(content.get("chunk_grid"), "chunk grid")
    if grid.get("name") != "regular":
        raise UnreadableImage(f"a chunk grid of kind {str(grid.get('name'))[:40]!r} is not read; use a regular one")
    shard = chunk = _lengths(_mapping(grid.get("configuration"), "chunk grid"), "chunk_shape")
    codecs = _codecs(content)
    checksum, index_at_start = None, False
    if [codec.get("name") for codec in codecs] == ["sharding_indexed"]:
        inner = _mapping(codecs[0].get("configuration"), "sharding")
        index_codecs = _known([str(codec.get("name")) for codec in _codecs(inner, "index_codecs")])
        checksum = 4 if "crc32c" in index_codecs else 0
        chunk, codecs = _lengths(inner, "chunk_shape"), _codecs(inner)
        index_at_start = inner.get("index_location") == "start"
    names = _known([str(codec.get("name")) for codec in codecs])
    shape = _lengths(content, "shape")
    return ArrayHeader(3, shape, shard, chunk, np.dtype(str(dtype)).itemsize, names, checksum, index_at_start)


def _codecs(content: Mapping[str, object], key: str = "codecs") -> list[Mapping[str, object]]:
    listed = content.get(key)
    if not isinstance(listed, list):
        raise UnreadableImage(f"the Zarr array has no {key}")
    return [_mapping(codec, "a codec") for codec in listed]


def _known(names: list[str]) -> tuple[str, ...]:
    """The names of codecs without zarr's prefix. Raises UnreadableImage for one that is not trusted with bytes."""
    plain = tuple(name.removeprefix("numcodecs.") for name in names)
    unknown = next((name for name in plain if name not in _COMPRESSORS | _OTHER_CODECS), None)
    if unknown is not None or len([name for name in plain if name in _COMPRESSORS]) > 1:
        raise UnreadableImage(
            f"chunks packed by {' and '.join(plain)[:80]!r} are not read; use one of {', '.join(sorted(_COMPRESSORS))}"
        )
    return plain


def _lengths(content: Mapping[str, object], key: str) -> tuple[int, ...]:
    values = content.get(key)
    if not isinstance(values, list) or not all(type(value) is int and 0 <= value < 2**48 for value in values):
        raise UnreadableImage(f"the Zarr array has no usable {key}: {str(values)[:60]}")
    return tuple(values)


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise UnreadableImage(f"{name} is no JSON object")
    return value
