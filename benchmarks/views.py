"""What tiles find that whole images do not, and what they cost.

`python -m benchmarks.views` makes montages of four labelled colour images of different classes, and asks with other
images of those classes: a montage that has one of the class is right. Mean average precision over all montages, by
their whole rows and by their tiles; processor time and rows an image, with tiles and without.
"""

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from hooke.embed.base import Embedder, Raster, Views
from hooke.embed.timm import load_embedder
from hooke.pixels.parts import with_own_parts
from hooke.settings import read_settings
from hooke.views import Kind

QUARTERS = 4
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Montages:
    """Montages with the classes in each, and queries of one class each."""

    montages: tuple[Raster, ...]
    classes: tuple[frozenset[str], ...]
    queries: tuple[Raster, ...]
    wanted: tuple[str, ...]


def make_montages(folder: Path, count: int, side: int) -> Montages:
    """Montages of `side` x 2 pixels from labelled images, and as many queries; the same ones every time."""
    files: defaultdict[str, list[Path]] = defaultdict(list)
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            if (row["channels"], row["bit_depth"]) == ("3", "8"):
                files[f"{row['dataset']}/{row['class_label']}"].append(folder / row["path"])
    random = np.random.default_rng(0)
    shuffled = {name: [paths[n] for n in random.permutation(len(paths))] for name, paths in sorted(files.items())}
    montages, classes = [], []
    for _ in range(count):
        # without one of a class that has run out: its last image is for the query
        left = [name for name, paths in shuffled.items() if len(paths) > 1]
        chosen = [str(name) for name in random.choice(left, QUARTERS, replace=False)]
        montages.append(Raster(_two_by_two([_picture(shuffled[name].pop(), side) for name in chosen]), rgb=True))
        classes.append(frozenset(chosen))
    wanted = sorted(frozenset[str]().union(*classes))
    wanted = [wanted[n] for n in random.permutation(len(wanted))[:count]]
    queries = tuple(Raster(_picture(shuffled[name].pop(), side), rgb=True) for name in wanted)
    return Montages(tuple(montages), tuple(classes), queries, tuple(wanted))


def precision(made: Montages, montages: Sequence[Views], queries: Sequence[Views], kind: Kind) -> float:
    """Mean average precision of ranking all montages by their best row of a kind."""
    averages = []
    for query, wanted in zip(queries, made.wanted, strict=True):
        scores = [float((views[kind].vectors @ query[Kind.WHOLE].vectors[0]).max()) for views in montages]
        order = np.argsort(-np.array(scores), kind="stable")
        right = np.array([wanted in made.classes[place] for place in order])
        averages.append(float((right.cumsum() / np.arange(1, len(right) + 1))[right].mean()))
    return float(np.mean(averages))


def tiled(rasters: Sequence[Raster], side: int, tiles: int) -> list[Raster]:
    """The rasters with their tiles, as reading gives them."""
    return [with_own_parts(raster, side, tiles) for raster in rasters]


def _picture(path: Path, side: int) -> Pixels:
    with Image.open(path) as image:
        return np.moveaxis(np.asarray(ImageOps.fit(image.convert("RGB"), (side, side))), -1, 0)


def _two_by_two(
    parts: Sequence[Pixels],
) -> Pixels:
    return np.concatenate([np.concatenate(parts[:2], axis=2), np.concatenate(parts[2:], axis=2)], axis=1)


def _timed(embedder: Embedder, rasters: Sequence[Raster]) -> tuple[list[Views], float]:
    began = time.process_time()
    return embedder.embed_views(rasters), (time.process_time() - began) / len(rasters)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--montages", type=int, default=100)
    asked = parser.parse_args()
    settings = read_settings()
    embedder = load_embedder(settings.model, settings.weights, tiles=QUARTERS)
    side = embedder.space.input_side
    made = make_montages(settings.shared_data / "images" / "labelled", asked.montages, side)
    _, plain_s = _timed(embedder, made.montages)
    montages, tiled_s = _timed(embedder, tiled(made.montages, side, QUARTERS))
    queries, _ = _timed(embedder, made.queries)
    whole, tile = (precision(made, montages, queries, kind) for kind in (Kind.WHOLE, Kind.TILE))
    chance = np.mean([np.mean([wanted in classes for classes in made.classes]) for wanted in made.wanted])
    print(f"{len(made.montages)} montages, {len(made.queries)} queries, {embedder.space.model}")
    print(f"mAP by whole images {whole:.3f}, by tiles {tile:.3f}, by chance about {chance:.3f}")
    rows = sum(len(views[Kind.TILE].vectors) for views in montages) / len(montages)
    print(
        f"processor time an image: {plain_s:.3f} s, with {rows:.1f} tiles {tiled_s:.3f} s ({tiled_s / plain_s:.1f} x)"
    )


if __name__ == "__main__":
    main()
