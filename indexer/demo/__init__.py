"""A small, honest archive to try Hooke on: real fields that scikit-image ships, and simulated ones marked as such."""

from indexer.demo.archive import DemoArchive, write_demo_archive

__all__ = ["DemoArchive", "write_demo_archive"]
