"""What was tried for better look-alikes, all of it scored alike: `python -m benchmarks.quality_tried --cache FOLDER`.

The outputs of each model for each picture are computed once and kept in the folder; a variant joins some of them, as
unit rows side by side, to a row for each image, by the rules of the embedder. Variants come in families; within one,
*chosen elsewhere* is the honest figure: for each collection the variant that is best on all others. Several passes are
tried on every third image, ranked among themselves. `--weights
NAME=FILE` for models whose package is not installed; those without weights are left out.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measures import Values, choose_elsewhere, compare, leave_one_out
from benchmarks.quality import PIXELS, PLAIN, Labelled, cached, embed_pixels, embed_plain, read_labelled
from benchmarks.quality_features import BINS, ORIENTATIONS, Seen, kept, look, look_around, look_without, network
from hooke.embed.timm import DEFAULT_MODEL
from hooke.errors import UnknownModel
from hooke.settings import read_settings

Rows = npt.NDArray[np.float64]
OTHERS = ("mobilenetv2_100", "tf_efficientnet_lite2")
CUBIC, OWN = "stages cubic + own", "own"
WEIGHTS = (0.05, 0.1, 0.2)
_OCTAVE = 0.25
_DARKEST = -20.0
_KEPT_DIM = 256
_THIRD = 3


@dataclass(frozen=True, slots=True)
class Weighed:
    """Unit rows of pictures, and their share of a picture's cosine."""

    rows: Rows
    share: float = 1.0


def unit(rows: npt.NDArray[np.floating]) -> Rows:
    """Rows of unit length, as float64."""
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12))


def side_by_side(*weighed: Weighed) -> Rows:
    """Unit rows that hold all of these."""
    return unit(np.concatenate([each.rows * each.share**0.5 for each in weighed], axis=-1))


def of_pictures(seen: Seen, parts: Sequence[str], aspects: Sequence[int] = (0,)) -> Rows:
    """A unit row for each picture: the parts side by side, the mean over aspects."""
    return unit(np.mean([side_by_side(*(Weighed(unit(seen.parts[name][at])) for name in parts)) for at in aspects], 0))


def of_images(rows: Rows, seen: Seen, images: int) -> Rows:
    """A unit row for each image: the mean of its channels' and, with the same weight, its composite's."""
    whole = np.zeros((images, rows.shape[1]))
    for which in (~seen.composite, seen.composite):
        total = np.zeros_like(whole)
        np.add.at(total, seen.owner[which], rows[which])
        whole += total / np.maximum(np.bincount(seen.owner[which], minlength=images), 1)[:, None]
    return unit(whole)


def centred(rows: Rows) -> Rows:
    """Rows without the mean of the index."""
    return unit(rows - rows.mean(axis=0))


def whitened(rows: Rows, power: float) -> Rows:
    """The first 256 principal components of the index, each divided by this power of its deviation."""
    _, deviations, axes = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    scores = (rows - rows.mean(axis=0)) @ axes[:_KEPT_DIM].T
    return unit(scores / deviations[:_KEPT_DIM] ** power)


def light(seen: Seen) -> Rows:
    """The stored amount of light of each picture, as a Gaussian of a quarter of an octave on a scale of octaves."""
    octaves = np.log2(np.maximum(seen.parts["light/stored"][0], 2**_DARKEST))
    places = np.arange(_DARKEST, 0, _OCTAVE)
    return unit(np.exp(-(((octaves - places) / _OCTAVE) ** 2) / 2))


def grid(seen: Seen, side: int) -> Rows:
    """Each picture on a coarse grid, without its mean."""
    pixels = seen.parts["grid/mean"][0]
    width = round((pixels.shape[1] / 3) ** 0.5)
    block = width // side
    cells = pixels.reshape(-1, 3, side, block, side, block).mean((3, 5)).reshape(len(pixels), -1)
    return unit(cells - cells.mean(axis=1, keepdims=True))


def poolings(seen: Seen, images: int) -> Iterator[tuple[str, Rows]]:
    """One pass of one model."""
    parts = {
        OWN: ("own/head",),
        "own, cubic mean (GeM)": ("own/cubic",),
        CUBIC: (*seen.stages("cubic"), "own/head"),
        "stages root mean square + own": (*seen.stages("square"), "own/head"),
        "stages mean + own": (*seen.stages("mean"), "own/head"),
        "stages mean and cubic + own": (*seen.stages("mean"), *seen.stages("cubic"), "own/head"),
    }
    for name, chosen in parts.items():
        yield name, of_images(of_pictures(seen, chosen), seen, images)


def fitted(rows: Mapping[str, Rows]) -> Iterator[tuple[str, Rows]]:
    """Spaces that depend on the index."""
    for name in (OWN, CUBIC):
        yield f"{name}, centred", centred(rows[name])
        for power in (0.25, 0.5, 1):
            yield f"{name}, {_KEPT_DIM} components whitened to {power}", whitened(rows[name], power)


def aspects(seen: Seen, images: int) -> Iterator[tuple[str, Rows]]:
    """One pass of one model, and several."""
    parts = (*seen.stages("cubic"), "own/head")
    shown = {
        "1 pass": (0,),
        "mirrored (2 passes)": (0, 4),
        "turned (4 passes)": range(4),
        "turned and mirrored (8 passes)": range(ORIENTATIONS),
    }
    for name, chosen in shown.items():
        yield f"{CUBIC}, {name}", of_images(of_pictures(seen, parts, chosen), seen, images)


def simple(base: str, model: Rows, without: Seen, images: int) -> Iterator[tuple[str, Rows]]:
    """What needs no model, beside one."""
    blocks = {f"{bins} tones": of_pictures(without, (f"tones/{bins}",)) for bins in BINS}
    blocks |= {f"{side} x {side} pixels": grid(without, side) for side in (8, 32)}
    blocks["stored light"] = light(without)
    for name, rows in blocks.items():
        for share in WEIGHTS:
            joined = side_by_side(Weighed(model, 1 - share), Weighed(rows, share))
            yield f"{base}, {name} x {share}", of_images(joined, without, images)


def two_models(models: Mapping[str, Seen], without: Seen, images: int) -> Iterator[tuple[str, Rows]]:
    """Other models, and each beside the default."""
    pictures = {}
    for model, seen in models.items():
        pictures[model] = of_pictures(seen, (*seen.stages("cubic"), "own/head"))
        if model != DEFAULT_MODEL:
            yield f"{model}, {OWN}", of_images(of_pictures(seen, ("own/head",)), seen, images)
            yield f"{model}, {CUBIC}", of_images(pictures[model], seen, images)
    tone = of_pictures(without, ("tones/16",))
    for model in list(models)[1:]:
        both = side_by_side(Weighed(pictures[DEFAULT_MODEL]), Weighed(pictures[model]))
        rows = of_images(both, without, images)
        yield f"{DEFAULT_MODEL} and {model}, {CUBIC}", rows
        yield f"{DEFAULT_MODEL} and {model}, {CUBIC}, centred", centred(rows)
        joined = of_images(side_by_side(Weighed(both, 0.9), Weighed(tone, 0.1)), without, images)
        yield f"{DEFAULT_MODEL} and {model}, {CUBIC}, 16 tones x 0.1", joined


@dataclass(frozen=True, slots=True)
class Against:
    """What variants are compared with: values of every query."""

    collections: tuple[str, ...]
    baselines: Mapping[str, Values]

    def line(self, name: str, dim: int | str, values: Values) -> str:
        """A row of the table: the difference to the first baseline, and where it is worse than each."""
        found = {other: compare(values, theirs, self.collections) for other, theirs in self.baselines.items()}
        whole = next(iter(found.values()))[""]
        worse = [
            ", ".join(where for where, each in differences.items() if where and each.sign == "-")
            for differences in found.values()
        ]
        return (
            f"| {name} | {dim} | {values.mean():.3f} | {whole.mean:+.3f} ({whole.low:+.3f} to {whole.high:+.3f}) | "
            + " | ".join(worse)
            + " |"
        )


def thinned(labelled: Labelled) -> Labelled:
    """Every third image."""
    return Labelled(
        labelled.paths[::_THIRD],
        labelled.classes[::_THIRD],
        labelled.groups[::_THIRD],
        labelled.collections[::_THIRD],
    )


def table(
    family: str, variants: Mapping[str, Rows], baselines: Mapping[str, npt.NDArray[np.floating]], labelled: Labelled
) -> Iterator[str]:
    """A family as Markdown."""
    scored = {name: leave_one_out(rows, labelled.classes).averages for name, rows in baselines.items()}
    against = Against(labelled.collections, scored)
    head = [f"worse than {name} on" for name in against.baselines]
    yield f"\n| {family} | dim | mAP@10 | to {next(iter(against.baselines))} | " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * 2 + "---|" * (len(head) + 1)
    values = {name: leave_one_out(rows, labelled.classes).averages for name, rows in variants.items()}
    for name, found in values.items():
        yield against.line(name, variants[name].shape[1], found)
    nested = choose_elsewhere(values, labelled.collections)
    yield against.line("chosen elsewhere", "", nested.values)
    chosen = list(nested.chosen.values())
    yield "\nChosen: " + "; ".join(f"{name} ({chosen.count(name)})" for name in dict.fromkeys(chosen))


def seen_by(models: Mapping[str, Path | None], labelled: Labelled, cache: Path) -> Iterator[tuple[str, Seen]]:
    """What each model that has weights sees."""
    for model, weights in models.items():
        make: Callable[[], Seen] = partial(_looked, model, weights, labelled)
        try:
            yield model, kept(cache / f"seen-{model}.npz", make)
        except UnknownModel as exc:
            print(f"{model} is left out: {exc}", file=sys.stderr)


def _looked(model: str, weights: Path | None, labelled: Labelled) -> Seen:
    return look(network(model, weights), labelled.paths)


def families(models: Mapping[str, Seen], without: Seen, images: int) -> Iterator[tuple[str, dict[str, Rows]]]:
    """All variants."""
    default = models[DEFAULT_MODEL]
    pooled = dict(poolings(default, images))
    yield "one pass", pooled
    yield "fitted on the index", dict(fitted(pooled))
    for base, parts in ((OWN, ("own/head",)), (CUBIC, (*default.stages("cubic"), "own/head"))):
        yield f"without a model, beside {base}", dict(simple(base, of_pictures(default, parts), without, images))
    yield "other models", dict(two_models(models, without, images))


def main() -> None:
    parser = argparse.ArgumentParser(description="Score what was tried on the labelled images.")
    parser.add_argument("--cache", type=Path, required=True, help="a folder that keeps what models see (about 400 MB)")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="of a model")
    arguments = parser.parse_args()
    files = {name: Path(file) for name, _, file in (each.partition("=") for each in arguments.weights)}
    labelled = read_labelled(read_settings().shared_data / "images" / "labelled")
    images = len(labelled.paths)
    models = {name: files.get(name) for name in (DEFAULT_MODEL, *OTHERS)}
    seen = dict(seen_by(models, labelled, arguments.cache))
    without = kept(arguments.cache / "seen-without.npz", lambda: look_without(labelled.paths))
    simple_rows = {
        PLAIN: cached(arguments.cache, PLAIN, lambda: embed_plain(labelled.paths)),
        PIXELS: cached(arguments.cache, PIXELS, lambda: embed_pixels(labelled.paths)),
    }
    found = dict(families(seen, without, images))
    baselines: dict[str, npt.NDArray[np.floating]] = {**simple_rows, CUBIC: found["one pass"][CUBIC]}
    for family, variants in found.items():
        print("\n".join(table(family, variants, baselines, labelled)), flush=True)
    some = thinned(labelled)
    make = partial(look_around, network(DEFAULT_MODEL, None), some.paths)
    turned = dict(aspects(kept(arguments.cache / f"seen-around-{_THIRD}.npz", make), len(some.paths)))
    fewer = {name: rows[::_THIRD] for name, rows in baselines.items()}
    print("\n".join(table("more passes, every third image", turned, fewer, some)))


if __name__ == "__main__":
    main()
