"""What the tests of the sources share: writing inputs, and reading them whole."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooke.model import Image, Study, Value
from indexer.sources import Quarantined, discover, read_images, read_studies


@dataclass(frozen=True)
class Read:
    """Everything that a run of the sources gives."""

    studies: tuple[Study, ...]
    images: tuple[Image, ...]
    quarantined: tuple[Quarantined, ...]

    @property
    def reasons(self) -> str:
        return "\n".join(f"{q.path}: {q.reason}" for q in self.quarantined)


def read(*paths: Path, source: str | None = None) -> Read:
    quarantined: list[Quarantined] = []
    inputs = discover(paths, source=source, quarantine=quarantined.append).inputs
    studies = tuple(study for i in inputs for study in read_studies(i, quarantined.append))
    images = tuple(image for i in inputs if i.has_images for image in read_images(i, quarantined.append))
    return Read(studies, images, tuple(dict.fromkeys(quarantined)))


def texts(values: Sequence[Value], field: str) -> list[str]:
    return [value.text for value in values if value.field == field]


def with_ids(values: Sequence[Value], field: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(value.text, value.ids) for value in values if value.field == field]


def tar(path: Path, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
