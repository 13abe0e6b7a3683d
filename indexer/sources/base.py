"""What every source shares: what an input is, what could not be read, and the bytes of its documents."""

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from hooke.errors import TooLarge

DOCUMENT_LIMIT = 512 * 2**20
"""Bytes of one metadata document, unpacked; a larger one is quarantined, as a bomb would be."""

HEAD = 65536
"""Bytes that tell what a file is."""

UNPACKING_ERRORS = (OSError, EOFError, zlib.error, tarfile.TarError, TooLarge)
"""What a broken or truncated file raises while it is unpacked."""

# Bytes that are letters in Mac Roman where cp1252 would put a capital inside a word: `Z\x9frich`, `King\xd5s`.
_MAC_ROMAN = re.compile(rb"[a-z][\xc0-\xdf]|[A-Za-z]\x9f[a-z]")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An input (a file, a member of an archive, a row) that could not be read, and why, in one line.

    lost: whether the index lacks something by it, so that the next run reads the input, and tells, again.
    """

    path: str
    reason: str
    lost: bool = True


Quarantine = Callable[[Quarantined], None]


class Source(StrEnum):
    """The formats that Hooke reads."""

    IDR_STUDY = "idr-study"
    IDR_TABLE = "idr-table"
    RO_CRATE = "ro-crate"
    BIOSTUDIES = "biostudies"
    BIA_WEBSITE = "bia-website"
    REMBI = "rembi"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Input:
    """One file to read as one source; a `.tar.gz` that mixes sources is one input for each.

    path: the file; for a folder source its manifest, the folder itself where there is none, or one OME-TIFF in it.
    """

    source: Source
    path: Path

    @property
    def has_images(self) -> bool:
        """Whether `read_images` can yield anything."""
        return self.source not in (Source.IDR_STUDY, Source.RO_CRATE, Source.REMBI)


@dataclass(frozen=True, slots=True)
class Document:
    """One metadata file as bytes, unpacked. `label` names it in reports: `archive.tar.gz:member`."""

    name: str
    label: str
    data: bytes


def one_line(error: BaseException) -> str:
    r"""An error as one line of text, named by its kind where it has no message.

    >>> one_line(ValueError("no\nsuch thing"))
    'no such thing'
    """
    return " ".join(str(error).split()) or type(error).__name__


def is_tar(path: Path) -> bool:
    """Whether a path is named as a tar archive, packed or not."""
    return path.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def documents(path: Path, wanted: Callable[[str, bytes], bool], quarantine: Quarantine) -> Iterator[Document]:
    """The documents in a file, in one pass: the file itself, or those members of a tar that are `wanted`.

    wanted: told a member's name and its first bytes. A broken archive is quarantined after its readable members.
    """
    try:
        if is_tar(path):
            yield from _members(path, wanted, quarantine)
        else:
            yield Document(path.name, str(path), read_file(path))
    except UNPACKING_ERRORS as error:
        quarantine(Quarantined(str(path), f"cannot be unpacked: {one_line(error)}"))


def read_file(path: Path) -> bytes:
    """A whole file, gunzipped if it is gzip by content. Raises one of UNPACKING_ERRORS."""
    with path.open("rb") as raw:
        return _unpacked(raw, DOCUMENT_LIMIT)


def head(path: Path, size: int = HEAD) -> bytes:
    """The first bytes of a file, gunzipped if it is gzip by content. Raises one of UNPACKING_ERRORS."""
    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return _rewound(raw).read(size)
        with gzip.open(_rewound(raw)) as unpacked:
            return unpacked.read(size)


def decode(data: bytes) -> str:
    r"""Text in whatever encoding a spreadsheet saved it, without BOM and NUL.

    UTF-8 or UTF-16 by their marks, else UTF-8, else Mac Roman where accented capitals would stand inside words,
    else Windows-1252 (Latin-1 for its five gaps).

    >>> decode(b"Z\x9frich"), decode(b"H\xe9rich\xe9"), decode(b"\xef\xbb\xbfD\xc3\xbcsseldorf\x00")
    ('Zürich', 'Hériché', 'Düsseldorf')
    """
    return _decoded(data).replace("\x00", "").removeprefix("\ufeff")


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    with suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    if _MAC_ROMAN.search(data):
        return data.decode("mac_roman")
    with suppress(UnicodeDecodeError):
        return data.decode("cp1252")
    return data.decode("latin-1")


def _members(path: Path, wanted: Callable[[str, bytes], bool], quarantine: Quarantine) -> Iterator[Document]:
    # a stream ("r|*") unpacks once and in order; random access would unpack from the start for every member
    with tarfile.open(path, mode="r|*") as archive:
        for member in archive:
            label = f"{path}:{member.name}"
            # macOS archives hold a `._name` twin of resource forks for every file
            raw = None if Path(member.name).name.startswith(".") else archive.extractfile(member)
            if raw is None:
                continue
            try:
                data = _unpacked(raw, DOCUMENT_LIMIT)
            except (EOFError, zlib.error, gzip.BadGzipFile, TooLarge) as error:
                quarantine(Quarantined(label, f"cannot be unpacked: {one_line(error)}"))
                continue
            if wanted(member.name, data[:HEAD]):
                yield Document(member.name, label, data)


def _unpacked(raw: IO[bytes], limit: int) -> bytes:
    data = raw.read(limit + 1)
    if data.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(data)) as unpacked:
            data = unpacked.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"more than {limit >> 20} MiB of metadata in one file; split it")
    return data


def _rewound(raw: IO[bytes]) -> IO[bytes]:
    raw.seek(0)
    return raw
