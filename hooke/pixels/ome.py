"""The OME-XML in a TIFF's header: its text alone, no pixel and no other file."""

import re
from io import FileIO
from pathlib import Path

from tifffile import TiffFile

from hooke.errors import TooLarge, UnreadableImage
from hooke.pixels.decoding import decoder_errors

OME_XML_LIMIT = 32 * 2**20
"""Bytes of OME-XML that are read; a plane's position takes about 200, so this is some 100,000 planes."""

# Bio-Formats writes a comment of 700 characters before the root
_ROOT = re.compile(r"<(?:\w+:)?OME[\s/>]")
_ROOT_WITHIN = 8192


def read_ome_xml(path: Path) -> str:
    """The OME-XML in the description of a TIFF's first page; empty where it has none.

    Raises UnreadableImage for what is no TIFF or damaged, TooLarge for a header of more than OME_XML_LIMIT bytes.
    """
    with decoder_errors("TIFF header"), _BoundedFile(path) as file, TiffFile(file, _multifile=False) as tif:
        description = tif.pages.first.description
        return description if _ROOT.search(description[:_ROOT_WITHIN]) else ""


class _BoundedFile(FileIO):
    """A file that refuses to be read in pieces that no header needs: a tag says itself how long it is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= OME_XML_LIMIT:
            raise TooLarge(f"a header of more than {OME_XML_LIMIT >> 20} MiB; its metadata is left out")
        data = super().read(size)
        if data is None:
            raise UnreadableImage("the file gives no bytes")
        return data
