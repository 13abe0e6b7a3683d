"""Pixel reading, for indexing and for uploads alike: bytes in, a `Raster` out; owner of pillow and tifffile."""

from hooke.pixels.bounded import UploadReader, read_upload
from hooke.pixels.limits import Limits
from hooke.pixels.ome import OME_XML_LIMIT, read_ome_xml
from hooke.pixels.read import ImageFacts, image_facts, read_raster, read_raster_bytes
from hooke.pixels.thumbnail import thumbnail

__all__ = [
    "OME_XML_LIMIT",
    "ImageFacts",
    "Limits",
    "UploadReader",
    "image_facts",
    "read_ome_xml",
    "read_raster",
    "read_raster_bytes",
    "read_upload",
    "thumbnail",
]
