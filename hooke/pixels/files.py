"""Read-only places that an OME-Zarr lies in: a folder, a zip, or whatever fsspec opens.

A key is a relative path with `/` between its parts. No key leads out of its place, by name or by a link.
"""

import json
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.decoding import decoder_errors

MOST_BYTES = 256 * 2**20
"""Bytes of one file that are read at once."""
MOST_JSON = 16 * 2**20
"""Bytes of one metadata document: a plate of 1,536 wells takes 0.2 MiB."""


class Files(Protocol):
    """Files by key."""

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """The bytes of a file, or of a range of it (a negative start counts from its end); None where it is missing.

        Raises UnreadableImage for a key that leads out, TooLarge for more than MOST_BYTES.
        """
        ...

    def children(self, key: str) -> tuple[str, ...]:
        """The names in a folder, sorted; none where it is missing."""
        ...


def read_json(files: Files, key: str) -> object:
    """What a JSON document says; None where it is missing. Raises TooLarge for more than MOST_JSON bytes."""
    content = files.read(key, 0, MOST_JSON + 1)
    if content is None:
        return None
    if len(content) > MOST_JSON:
        raise TooLarge(f"{key} has over {MOST_JSON} bytes of metadata")
    return json.loads(content)


@contextmanager
def open_plain(path: Path, name: str = "it") -> Iterator[BinaryIO]:
    """A file, open for reading. Raises UnreadableImage for what is no plain file: a pipe would never end."""
    with open(path, "rb", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableImage(f"{name} is no plain file")
        yield file


class CountedFiles:
    """Files of which at most so many bytes are read in all; `bytes_read` and `keys` say what was."""

    def __init__(self, files: Files, most: int) -> None:
        self._files = files
        self._most = most
        self.bytes_read = 0
        self.keys: list[str] = []

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """As the files below. Raises TooLarge beyond the bytes allowed in all."""
        found = self._files.read(key, start, end)
        if found is not None:
            self.keys.append(key)
            self.bytes_read += len(found)
            if self.bytes_read > self._most:
                raise TooLarge(f"reading the image takes over {self._most} bytes; give it smaller resolution levels")
        return found

    def children(self, key: str) -> tuple[str, ...]:
        """As the files below."""
        return self._files.children(key)


class FolderFiles:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """See `Files`. Raises UnreadableImage for what is no plain file."""
        path = self._inside(key)
        try:
            with open_plain(path, key) as file:
                begin, stop = _span(start, end, os.fstat(file.fileno()).st_size, key)
                file.seek(begin)
                return file.read(stop - begin)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except IsADirectoryError as exc:
            raise UnreadableImage(f"{key} is a folder where a file should be") from exc

    def children(self, key: str) -> tuple[str, ...]:
        """See `Files`."""
        path = self._inside(key)
        return tuple(sorted(each.name for each in path.iterdir())) if path.is_dir() else ()

    def _inside(self, key: str) -> Path:
        path = self._root / _checked(key)
        try:
            if path.resolve().is_relative_to(self._root):
                return path
        except (OSError, RuntimeError) as exc:
            raise UnreadableImage(f"{key} is a link that leads nowhere") from exc
        raise UnreadableImage(f"{key} is a link that leads out of the image")


class ZipFiles:
    """The files in a zip: those in its one folder where it has no file outside it."""

    def __init__(self, source: Path | bytes) -> None:
        with decoder_errors("zip"):
            self._zip = zipfile.ZipFile(BytesIO(source) if isinstance(source, bytes) else source)
        names = [name for name in self._zip.namelist() if not name.startswith("__MACOSX/")]
        tops = {name.partition("/")[0] for name in names}
        self._prefix = f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""
        self._names = frozenset(names)

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """See `Files`."""
        name = self._prefix + _checked(key)
        if name not in self._names:
            return None
        with decoder_errors(f"zip's {key}"):
            # a member ends at the size that the zip says, whatever its compressed bytes would give
            size = self._zip.getinfo(name).file_size
            begin, stop = _span(start, end, size, key)
            with self._zip.open(name) as member:
                member.seek(begin)
                return member.read(stop - begin)

    def children(self, key: str) -> tuple[str, ...]:
        """See `Files`."""
        below = self._prefix + (f"{_checked(key)}/" if key else "")
        found = {name[len(below) :].partition("/")[0] for name in self._names if name.startswith(below)}
        return tuple(sorted(found - {""}))


class RemoteFiles:
    """The files below an fsspec path, which is only read."""

    def __init__(self, url: str) -> None:
        if "::" in url:
            raise UnreadableImage("chained addresses (::) are not opened; unpack the image or copy it")
        import fsspec  # type: ignore[import-untyped]  # it has no types; only remote images need it

        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError, OSError) as exc:
            raise UnreadableImage(f"the address cannot be opened: {exc}") from exc

    def is_folder(self) -> bool:
        """Whether there is a folder of files, and not one file."""
        return bool(self._fs.isdir(self._root))

    def open(self) -> BinaryIO:
        """The file that the address is of."""
        file: BinaryIO = self._fs.open(self._root, "rb")
        return file

    def read(self, key: str, start: int | None = None, end: int | None = None) -> bytes | None:
        """See `Files`."""
        path = f"{self._root}/{_checked(key)}" if key else self._root
        try:
            begin, stop = _span(start, end, int(self._fs.size(path) or 0), key)
            return bytes(self._fs.cat_file(path, start=begin, end=stop))
        except FileNotFoundError:
            return None

    def children(self, key: str) -> tuple[str, ...]:
        """See `Files`."""
        path = f"{self._root}/{_checked(key)}" if key else self._root
        try:
            found = self._fs.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(sorted(str(name).rstrip("/").rpartition("/")[2] for name in found))


def _without_waiting(path: str, flags: int) -> int:
    # opening a pipe waits for its writer
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _checked(key: str) -> str:
    """A key that stays below. Raises UnreadableImage for any other."""
    parts = key.split("/") if key else []
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part or ":" in part[1:2] for part in parts):
        raise UnreadableImage(f"the path {key!r} leads out of the image")
    return key


def _span(start: int | None, end: int | None, size: int, key: str) -> tuple[int, int]:
    begin = 0 if start is None else max(0, size + start if start < 0 else start)
    stop = max(begin, size if end is None else min(end, size))
    if stop - begin > MOST_BYTES:
        raise TooLarge(f"{key} has {stop - begin} bytes, the limit is {MOST_BYTES}")
    return begin, stop
