"""From which similarity on two images are near-duplicates: pairs of labelled images, and copies of some of them.

`python -m benchmarks.duplicates` embeds every image of `images/labelled` and prints how many pairs reach each
threshold, with the most alike ones by name, to be judged by eye; then, of altered copies of evenly spaced images, how
alike each is to its original and how many reach each threshold. A colour picture is altered as one, any other channel
by channel.
"""

import argparse
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from benchmarks.quality import read_labelled
from hooke.embed.base import Embedder, Raster, Vectors
from hooke.embed.timm import load_embedder
from hooke.pixels import Limits, read_raster
from hooke.settings import read_settings

THRESHOLDS = (0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
NAMED = 0.96
_BATCH = 32

Alter = Callable[[Image.Image], Image.Image]


def resized(share: float) -> Alter:
    """Scaled in both directions."""
    return lambda picture: picture.resize((round(picture.width * share), round(picture.height * share)))


def compressed(quality: int) -> Alter:
    """Saved as a JPEG and read again."""

    def saved(picture: Image.Image) -> Image.Image:
        eight_bits = picture if picture.mode == "RGB" else Image.fromarray(_eight_bits(np.asarray(picture)))
        buffer = io.BytesIO()
        eight_bits.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    return saved


def brighter(picture: Image.Image) -> Image.Image:
    """A tenth brighter; what is beyond the range is cut."""
    pixels = np.asarray(picture).astype(np.float64) * 1.1
    most = 255 if picture.mode in ("L", "RGB") else np.inf
    return Image.fromarray(np.minimum(pixels, most).astype(np.asarray(picture).dtype))


def cropped(picture: Image.Image) -> Image.Image:
    """Without a twentieth of each side's length."""
    across, down = round(picture.width * 0.025), round(picture.height * 0.025)
    return picture.crop((across, down, picture.width - across, picture.height - down))


COPIES: Mapping[str, Alter] = {
    "JPEG of quality 90": compressed(90),
    "scaled to 0.9": resized(0.9),
    "a tenth brighter": brighter,
    "JPEG of quality 75": compressed(75),
    "mirrored": ImageOps.mirror,
    "5 % cropped": cropped,
    "scaled to 0.5": resized(0.5),
    "turned by 90°": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}


def altered(raster: Raster, alter: Alter) -> Raster:
    """A copy of an image."""
    if raster.rgb:
        picture = alter(Image.fromarray(np.moveaxis(raster.pixels, 0, -1).astype(np.uint8)))
        return Raster(np.ascontiguousarray(np.moveaxis(np.asarray(picture), -1, 0)), rgb=True)
    # float32, because Pillow scales no 16-bit picture
    planes = [plane if plane.dtype == np.uint8 else plane.astype(np.float32) for plane in raster.pixels]
    return replace(raster, pixels=np.stack([np.asarray(alter(Image.fromarray(plane))) for plane in planes]))


def _eight_bits(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if plane.dtype == np.uint8:
        return plane.astype(np.uint8)
    values = plane.astype(np.float64)
    scaled: npt.NDArray[np.uint8] = ((values - values.min()) * (255 / max(1e-9, np.ptp(values)))).astype(np.uint8)
    return scaled


def embed_all(embedder: Embedder, paths: Sequence[Path], alter: Alter | None = None) -> Vectors:
    """One row an image, or an altered copy of it."""
    parts = []
    for start in range(0, len(paths), _BATCH):
        rasters = [read_raster(path, Limits()) for path in paths[start : start + _BATCH]]
        parts.append(embedder.embed([altered(raster, alter) for raster in rasters] if alter else rasters))
    return np.concatenate(parts)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast", help="a preset or a timm model")
    parser.add_argument("--copied", type=int, default=160, help="how many images to make copies of")
    asked = parser.parse_args()
    folder = read_settings().shared_data / "images" / "labelled"
    paths = read_labelled(folder).paths
    embedder = load_embedder(asked.model)
    rows = embed_all(embedder, paths)
    first, second = np.triu_indices(len(paths), 1)
    cosines = (rows @ rows.T)[first, second]
    print(f"{len(cosines):,} pairs: " + ", ".join(f"{np.sum(cosines >= each):,} at {each}" for each in THRESHOLDS))
    order = np.argsort(-cosines)
    for pair in order[cosines[order] >= NAMED]:
        print(f"{cosines[pair]:.4f} {paths[first[pair]].relative_to(folder)} {paths[second[pair]].relative_to(folder)}")
    some = np.linspace(0, len(paths) - 1, asked.copied).astype(int)
    print("| copy | median similarity |" + "".join(f" {each} |" for each in THRESHOLDS))
    for name, alter in COPIES.items():
        alike = (embed_all(embedder, [paths[each] for each in some], alter) * rows[some]).sum(axis=1)
        found = "".join(f" {np.mean(alike >= each):.0%} |" for each in THRESHOLDS)
        print(f"| {name} | {np.median(alike):.3f} |{found}", flush=True)


if __name__ == "__main__":
    main()
