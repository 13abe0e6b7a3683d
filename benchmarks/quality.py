"""How often the nearest image is of the same kind: 1-NN accuracy and mAP@10 on the labelled images, with baselines.

`python -m benchmarks.quality` reads every image of `images/labelled` as indexing does, embeds it with each model
(`--model NAME`, or `NAME=WEIGHTS`; once or more), and ranks all others by cosine, leave one out. A class is a
collection with its label: 59 of them. mAP@10 is the mean over queries of the average precision over the 10 nearest,
normalised by min(10, other images of the query's class). `distinct` leaves out the query's own `group`, where it has
one. Two baselines stand beside them:

- `pixels`: 32 × 32 colour pixels of the image as a cosine without any model;
- `plain`: the default model behind what a tutorial does: 8 bits (from smallest to largest value), the first three
  channels or grey three times, short side to the model's input, centre crop.

Differences are to `plain`, with the 95 % interval of a paired bootstrap over queries. `chosen elsewhere` is the honest
figure of the best model: for each collection the one that is best on all others. `--cache FOLDER` keeps rows.
"""

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
import torch
from PIL import Image, ImageOps
from timm.data.config import resolve_model_data_config

from benchmarks.measures import Quality, by_collection, choose_elsewhere, compare, leave_one_out
from hooke.embed.base import Embedder, Vectors
from hooke.embed.timm import DEFAULT_MODEL, load_embedder, load_network
from hooke.pixels import Limits, read_raster
from hooke.settings import read_settings

_BATCH = 32
_PIXELS = 32
PLAIN, PIXELS = "plain", "pixels"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Image paths with the class and the group (0: none) of each, as codes."""

    paths: tuple[Path, ...]
    classes: npt.NDArray[np.int64]
    groups: npt.NDArray[np.int64]
    collections: tuple[str, ...]


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


def embed_files(embedder: Embedder, paths: Sequence[Path]) -> Vectors:
    """One row for each image file."""
    limits = Limits()
    rows = [
        embedder.embed([read_raster(path, limits) for path in paths[start : start + _BATCH]])
        for start in range(0, len(paths), _BATCH)
    ]
    return np.concatenate(rows)


def plain_picture(path: Path) -> Image.Image:
    """An image as a tutorial reads it: 8 bits, three channels."""
    if not path.name.endswith(".tif"):
        return Image.open(path).convert("RGB")
    channels = np.atleast_3d(tifffile.imread(path).T).T[:3].astype(np.float64)
    low, high = channels.min(), channels.max()
    grey = ((channels - low) / max(high - low, 1) * 255).astype(np.uint8)
    # a missing channel is dark, a single one is grey
    colour = np.repeat(grey, 3, axis=0) if len(grey) == 1 else np.concatenate([grey, np.zeros_like(grey)])[:3]
    return Image.fromarray(np.moveaxis(colour, 0, 2))


def embed_pixels(paths: Sequence[Path]) -> Vectors:
    """One row for each image: its colours on a coarse grid, without their mean."""
    side = (_PIXELS, _PIXELS)
    rows = np.array([np.asarray(plain_picture(path).resize(side, Image.Resampling.BICUBIC)).ravel() for path in paths])
    return _unit(rows - rows.mean(axis=1, keepdims=True))


@torch.inference_mode()
def embed_plain(paths: Sequence[Path]) -> Vectors:
    """One row for each image: the default model's own features behind plain preprocessing."""
    # as the embedder does: threads inside an operation wait for each other on busy cores
    torch.set_num_threads(1)
    network = load_network(DEFAULT_MODEL).eval()
    config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]  # timm does not type it
    side = (config["input_size"][1], config["input_size"][2])
    mean, std = (torch.tensor(config[name]).reshape(3, 1, 1) for name in ("mean", "std"))
    rows = []
    for path in paths:
        cropped = np.array(ImageOps.fit(plain_picture(path), side, Image.Resampling.BICUBIC))
        picture = (torch.from_numpy(cropped).permute(2, 0, 1) / 255 - mean) / std
        rows.append(network(picture[None])[0].numpy())
    return _unit(np.stack(rows))


def _unit(rows: npt.NDArray[np.generic]) -> Vectors:
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)


def _embed_model(model: str, paths: Sequence[Path]) -> Vectors:
    name, _, weights = model.partition("=")
    return embed_files(load_embedder(name, Path(weights) if weights else None), paths)


def cached(cache: Path | None, name: str, make: Callable[[], Vectors]) -> Vectors:
    """Rows from a file of the folder, or made and kept there; nobody checks that they are still true."""
    if cache is None:
        return make()
    file = cache / f"{name.replace('/', '_')}.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, make())
    rows: Vectors = np.load(file, allow_pickle=False)
    return rows


def report(rows: dict[str, Vectors], labelled: Labelled) -> dict[str, object]:
    """Everything measured, ready for JSON."""
    one_out = {name: leave_one_out(vectors, labelled.classes) for name, vectors in rows.items()}
    distinct = {name: leave_one_out(vectors, labelled.classes, labelled.groups) for name, vectors in rows.items()}
    models = {name: quality.averages for name, quality in one_out.items() if name not in (PIXELS, PLAIN)}
    nested = choose_elsewhere(models, labelled.collections)
    plain = one_out[PLAIN].averages
    return {
        "models": {
            name: {
                "dim": rows[name].shape[1],
                "leave_one_out": _summary(quality, labelled),
                "distinct_groups": _summary(distinct[name], labelled),
                "to_plain": _differences(quality.averages, plain, labelled),
            }
            for name, quality in one_out.items()
        },
        "chosen_elsewhere": {
            "chosen": nested.chosen,
            "map": float(nested.values.mean()),
            "to_plain": _differences(nested.values, plain, labelled),
        },
    }


def _summary(quality: Quality, labelled: Labelled) -> dict[str, object]:
    precision = by_collection(quality.averages, labelled.collections)
    return {
        "nearest": quality.nearest,
        "map": quality.precision,
        "map_mean_of_collections": float(np.mean(list(precision.values()))),
        "nearest_by_collection": by_collection(quality.hits, labelled.collections),
        "map_by_collection": precision,
    }


def _differences(
    ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], labelled: Labelled
) -> dict[str, object]:
    found = compare(ours, theirs, labelled.collections)
    return {name or "overall": {**asdict(each), "sign": each.sign} for name, each in found.items()}


def tables(rows: dict[str, Vectors], labelled: Labelled) -> str:
    """Two Markdown tables: overall, and mAP@10 of each collection with what it is against `plain` and `pixels`."""
    names = [*rows]
    one_out = {name: leave_one_out(rows[name], labelled.classes) for name in names}
    distinct = {name: leave_one_out(rows[name], labelled.classes, labelled.groups) for name in names}
    models = {name: one_out[name].averages for name in names if name not in (PIXELS, PLAIN)}
    nested = choose_elsewhere(models, labelled.collections).values
    differences, to_pixels = (
        {name: compare(one_out[name].averages, one_out[other].averages, labelled.collections) for name in names}
        for other in (PLAIN, PIXELS)
    )
    lines = ["| | dim | 1-NN | mAP@10 | distinct groups: 1-NN | mAP@10 | mAP@10 to plain |", "|---|" + "---:|" * 6]
    for name in names:
        whole = differences[name][""]
        lines.append(
            f"| {name} | {rows[name].shape[1]} | {one_out[name].nearest:.3f} | {one_out[name].precision:.4f} | "
            f"{distinct[name].nearest:.3f} | {distinct[name].precision:.4f} | "
            f"{whole.mean:+.4f} ({whole.low:+.4f} to {whole.high:+.4f}) |"
        )
    apart = compare(nested, one_out[PLAIN].averages, labelled.collections)[""]
    lines.append(
        f"| chosen elsewhere | | | {nested.mean():.4f} | | | "
        f"{apart.mean:+.4f} ({apart.low:+.4f} to {apart.high:+.4f}) |"
    )
    lines += ["", "| mAP@10 | images | " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) + 1)]
    precision = {name: by_collection(one_out[name].averages, labelled.collections) for name in names}
    for collection in sorted(set(labelled.collections)):
        cells = [
            f"{precision[name][collection]:.3f} {differences[name][collection].sign}{to_pixels[name][collection].sign}"
            for name in names
        ]
        lines.append(f"| {collection} | {labelled.collections.count(collection)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure look-alikes on the labelled images.")
    parser.add_argument(
        "--model", action="append", metavar="NAME[=WEIGHTS]", help="default: the presets fast and balanced"
    )
    parser.add_argument("--cache", type=Path, help="a folder that keeps each model's rows between runs")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    arguments = parser.parse_args()
    labelled = read_labelled(read_settings().shared_data / "images" / "labelled")
    models: list[str] = arguments.model or ["fast", "balanced"]
    rows = {
        PIXELS: cached(arguments.cache, PIXELS, lambda: embed_pixels(labelled.paths)),
        PLAIN: cached(arguments.cache, PLAIN, lambda: embed_plain(labelled.paths)),
    }
    for model in models:
        name = model.partition("=")[0]
        rows[name] = cached(arguments.cache, name, lambda model=model: _embed_model(model, labelled.paths))  # type: ignore[misc]
    print(json.dumps(report(rows, labelled), indent=1) if arguments.json else tables(rows, labelled))


if __name__ == "__main__":
    main()
