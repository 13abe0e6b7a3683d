"""Where the parts of an index lie on disk."""

from dataclasses import dataclass
from pathlib import Path

from hooke.errors import UnknownIndex

METADATA = "metadata.sqlite"


@dataclass(frozen=True, slots=True)
class IndexDirectory:
    """`my-index/ metadata.sqlite  ontologies/  vectors/  spaces/  thumbnails/  decisions.csv`."""

    root: Path

    @property
    def metadata(self) -> Path:
        """The SQLite file, which holds the commit point."""
        return self.root / METADATA

    @property
    def ontologies(self) -> Path:
        """Compiled ontology snapshots, one directory a version."""
        return self.root / "ontologies"

    @property
    def vectors(self) -> Path:
        """Vector segments."""
        return self.root / "vectors"

    @property
    def spaces(self) -> Path:
        """What each embedding space is made of, one file a fingerprint."""
        return self.root / "spaces"

    @property
    def decisions(self) -> Path:
        """What curators decided, for the next run to use."""
        return self.root / "decisions.csv"

    def thumbnail(self, ordinal: int) -> Path:
        """The JPEG of an image."""
        return self.root / "thumbnails" / f"{ordinal // 1000:06d}" / f"{ordinal}.jpg"


def existing_index(root: Path) -> IndexDirectory:
    """The index in a directory. Raises UnknownIndex, saying how to make one."""
    index = IndexDirectory(root)
    try:
        found = index.metadata.is_file()
    except PermissionError as exc:
        raise UnknownIndex(f"{root} cannot be read: check its permissions") from exc
    if not found:
        raise UnknownIndex(f"no index in {root}: make one with `hooke index PATH... --index {root}`")
    return index


def new_or_existing_index(root: Path) -> IndexDirectory:
    """The index in a directory, made if there is none."""
    root.mkdir(parents=True, exist_ok=True)
    return IndexDirectory(root)
