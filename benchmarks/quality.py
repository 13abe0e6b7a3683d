"""How often the nearest image is of the same kind: 1-NN accuracy and mAP@10 on the labelled images.

`python -m benchmarks.quality` reads every image of `images/labelled` as indexing does, embeds it with the default
model, and ranks all others by cosine, leave one out. A class is a collection with its label: 59 of them.

mAP@10 is the mean over queries of the average precision over the 10 nearest, normalised by min(10, other images of the
query's class). `distinct` leaves out the images of the query's own `group` (cut from one source), where it has one.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hooke.embed.base import Embedder, Vectors
from hooke.embed.timm import load_embedder
from hooke.pixels import Limits, read_raster
from hooke.settings import read_settings

_BATCH = 32
_NEAREST = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """Image paths with the class and the group (0: none) of each, as codes."""

    paths: tuple[Path, ...]
    classes: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    collections: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over all queries, with the 1-NN hit of each."""

    nearest: float
    precision: float
    hits: npt.NDArray[np.bool_]


def read_labelled(folder: Path) -> Labelled:
    """The manifest of a folder of labelled images."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = [f"{row['dataset']}/{row['class_label']}" for row in rows]
    groups = [f"{row['dataset']}/{row['group']}" if row["group"] else "" for row in rows]
    return Labelled(
        paths=tuple(folder / row["path"] for row in rows),
        classes=np.unique(classes, return_inverse=True)[1],
        groups=np.unique(["", *groups], return_inverse=True)[1][1:],
        collections=tuple(row["dataset"] for row in rows),
    )


def embed_files(embedder: Embedder, paths: tuple[Path, ...]) -> Vectors:
    """One row for each image file."""
    limits = Limits()
    rows = [
        embedder.embed([read_raster(path, limits) for path in paths[start : start + _BATCH]])
        for start in range(0, len(paths), _BATCH)
    ]
    return np.concatenate(rows)


def leave_one_out(vectors: Vectors, labelled: Labelled, *, distinct: bool) -> Quality:
    """1-NN accuracy and mAP@10 of every image against all others."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    if distinct:
        grouped = labelled.groups[:, None] == labelled.groups[None, :]
        similarity[grouped & (labelled.groups > 0)[:, None]] = -np.inf
    same = (labelled.classes[:, None] == labelled.classes[None, :]) & np.isfinite(similarity)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :_NEAREST]
    relevant = np.take_along_axis(same, order, axis=1)
    precision = relevant.cumsum(axis=1) / np.arange(1, _NEAREST + 1)
    possible = np.maximum(1, np.minimum(_NEAREST, same.sum(axis=1)))
    average = (precision * relevant).sum(axis=1) / possible
    hits = relevant[:, 0]
    return Quality(nearest=float(hits.mean()), precision=float(average.mean()), hits=hits)


def main() -> None:
    settings = read_settings()
    labelled = read_labelled(settings.shared_data / "images" / "labelled")
    embedder = load_embedder(settings.model, settings.weights)
    start = time.perf_counter()
    vectors = embed_files(embedder, labelled.paths)
    seconds = time.perf_counter() - start
    print(f"{embedder.space.model}, {len(vectors)} images in {seconds:.1f} s, space {embedder.space.fingerprint[:12]}")
    for name, distinct in (("leave one out", False), ("distinct groups", True)):
        quality = leave_one_out(vectors, labelled, distinct=distinct)
        print(f"{name:16} 1-NN {quality.nearest:.4f}  mAP@{_NEAREST} {quality.precision:.4f}")
    hits = leave_one_out(vectors, labelled, distinct=False).hits
    for collection in sorted(set(labelled.collections)):
        members = np.array([name == collection for name in labelled.collections])
        print(f"  {collection:20} {members.sum():5}  1-NN {hits[members].mean():.3f}")


if __name__ == "__main__":
    main()
