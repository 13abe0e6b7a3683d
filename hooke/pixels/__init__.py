"""Pixel reading, for indexing and for uploads alike: an image in, a `Raster` out; owner of the decoders."""

from hooke.pixels.bounded import FileReader, Reading, UploadReader, read_upload, shared_file_reader
from hooke.pixels.describe import ImageHeader, images_at, zarr_documents
from hooke.pixels.limits import Limits
from hooke.pixels.ome import OME_XML_LIMIT, read_ome_xml
from hooke.pixels.read import (
    ImageFacts,
    image_facts,
    is_address,
    locate,
    read_changed,
    read_raster,
    read_raster_bytes,
)
from hooke.pixels.thumbnail import thumbnail

__all__ = [
    "OME_XML_LIMIT",
    "FileReader",
    "ImageFacts",
    "ImageHeader",
    "Limits",
    "Reading",
    "UploadReader",
    "image_facts",
    "images_at",
    "is_address",
    "locate",
    "read_changed",
    "read_ome_xml",
    "read_raster",
    "read_raster_bytes",
    "read_upload",
    "shared_file_reader",
    "thumbnail",
    "zarr_documents",
]
