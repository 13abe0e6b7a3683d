"""The bytes of an ontology, and what kind of file they are."""

import gzip
import importlib.util
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from hashlib import blake2b, file_digest
from io import BufferedReader
from itertools import accumulate
from pathlib import Path

import zstandard

from hooke.errors import BadInput, BadOntology

_PACKAGE = "cellxgene_ontology_guide"
_CHUNK = 1 << 22
_READING = b"2"
"""Counts up when more is read from the same file, so that it is loaded again where it was loaded before."""


Stream = gzip.GzipFile | zstandard.ZstdDecompressionReader | BufferedReader


class Format(StrEnum):
    """The formats that load, told apart by content."""

    OBO = "OBO"
    OWL = "OWL"
    GRAPH = "OBO Graph JSON"
    CELLXGENE = "cellxgene JSON"


@dataclass(frozen=True, slots=True)
class Source:
    """A file on disk, perhaps compressed."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def digest(self) -> str:
        """A digest of the file's bytes."""
        with self._file() as raw:
            return file_digest(raw, partial(blake2b, digest_size=12, person=_READING)).hexdigest()

    def read(self) -> bytes:
        """The whole content, decompressed; raises BadOntology for a truncated or damaged archive."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """The content, decompressed, some megabytes at a time."""
        with self._file() as raw:
            stream = _decompressed(raw)
            try:
                while chunk := stream.read(_CHUNK):
                    yield chunk
            except (OSError, EOFError, zlib.error, zstandard.ZstdError) as exc:
                raise BadOntology(f"{self.name}: the compressed data is damaged or truncated ({exc})") from exc

    def is_larger(self, size: int) -> bool:
        """Whether the content, decompressed, has more bytes than this."""
        sizes = accumulate(map(len, self.chunks()))
        return any(so_far > size for so_far in sizes)

    @contextmanager
    def _file(self) -> Iterator[BufferedReader]:
        try:
            raw = self.path.open("rb")
        except OSError as exc:
            raise BadInput(f"cannot read the ontology {self.path}: {exc.strerror or exc}") from exc
        with raw:
            yield raw

    def format(self) -> Format:
        """The format of the content; raises BadOntology for none of them."""
        head = next(self.chunks(), b"").removeprefix(b"\xef\xbb\xbf").lstrip()[:65536]
        found = _format(head)
        if found is None:
            raise BadOntology(f"{self.name}: neither OBO, OWL in RDF/XML, OBO Graph JSON nor cellxgene JSON")
        return found


def open_source(path_or_name: str | Path) -> Source:
    """A file, or the latest release of an ontology in the installed package: `cellxgene:UBERON`."""
    text = str(path_or_name)
    return Source(_packaged(text.partition(":")[2]) if text.startswith("cellxgene:") else Path(path_or_name))


def _packaged(prefix: str) -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise BadInput(
            f"cellxgene:{prefix} needs the package cellxgene-ontology-guide; install hooke[demo], or name a file"
        )
    folder = Path(spec.origin).parent / "data"
    latest = json.loads((folder / "latest_ontology_info.json").read_text(encoding="utf-8"))["ontologies"]
    known = {name.casefold(): name for name in latest if any(folder.glob(f"{name}-ontology-*.json.zst"))}
    name = known.get(prefix.casefold())
    if name is None:
        raise BadInput(
            f"cellxgene-ontology-guide has no ontology {prefix!r}; it has {', '.join(sorted(known.values()))}"
        )
    return folder / f"{name}-ontology-{latest[name]['version']}.json.zst"


def _decompressed(raw: BufferedReader) -> Stream:
    magic = raw.read(4)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if magic == b"\x28\xb5\x2f\xfd":
        return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
    return raw


def _format(head: bytes) -> Format | None:
    if head.startswith(b"{"):
        if re.search(rb'"ancestors"\s*:\s*\{', head):
            return Format.CELLXGENE
        return Format.GRAPH if re.search(rb'"(graphs|nodes|edges)"\s*:', head) else None
    if head.startswith(b"<"):
        return Format.OWL if re.search(rb"<(\w+:)?RDF\b", head) else None
    if head.startswith(b"format-version:") or re.search(rb"^\[Term\]\s*$", head, re.MULTILINE):
        return Format.OBO
    return None
