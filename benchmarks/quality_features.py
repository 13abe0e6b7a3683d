"""What a model sees of each labelled image, computed once: outputs that `benchmarks.quality_tried` joins and weighs.

A picture is what indexing shows a model of an image (a channel, colour, a composite); an aspect is one way to show it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from timm.data.config import resolve_model_data_config
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from hooke.embed.base import Raster
from hooke.embed.preprocess import COMPOSITE, Picture, Planes, pictures
from hooke.embed.stages import cubic_mean
from hooke.embed.timm import load_network, resized
from hooke.embed.tones import tones
from hooke.pixels import Limits, read_raster

Floats = npt.NDArray[np.float32]
ORIENTATIONS, ASPECTS = 8, 12
"""Aspects: four turns, the same mirrored, then the quarters of the picture, each at the size of the whole."""
SIDE = 224
GRID = 32
BINS = (8, 16, 32)
_Pooled = Iterator[tuple[str, torch.Tensor]]


@dataclass(frozen=True, slots=True)
class Seen:
    """Outputs for each picture. parts: float32 (aspects, pictures, width) by `where/pooling`.

    owner: of what image a picture is. composite: whether it is one of all channels.
    """

    parts: dict[str, Floats]
    owner: npt.NDArray[np.int64]
    composite: npt.NDArray[np.bool_]

    def stages(self, pooling: str) -> tuple[str, ...]:
        """The parts of the stages in this pooling, in order."""
        return tuple(sorted(name for name in self.parts if name.startswith("stage") and name.endswith(f"/{pooling}")))


@torch.inference_mode()
def look(network: nn.Module, paths: Sequence[Path], aspects: int) -> Seen:
    """All outputs of a network for the first so many aspects of each picture."""
    config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]  # timm does not type it
    mean, std = (torch.tensor(config[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))

    def outputs(_: Raster, picture: Picture) -> _Pooled:
        shown = torch.cat(list(islice(_aspects(picture.pixels), aspects)))
        return _pooled(network, (shown - mean) / std)

    return _collected(paths, outputs)


@torch.inference_mode()
def look_without(paths: Sequence[Path]) -> Seen:
    """What each picture holds without a model: a coarse grid, its tones, and the stored amount of light."""
    return _collected(paths, _simple)


def kept(file: Path, make: Callable[[], Seen]) -> Seen:
    """What was seen, from a file, or made and kept there; nobody checks that it is still true."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        seen = make()
        np.savez(file, owner=seen.owner, composite=seen.composite, **seen.parts)  # type: ignore[arg-type]  # its stub
    with np.load(file, allow_pickle=False) as arrays:
        parts = {name: arrays[name] for name in arrays.files if "/" in name}
        return Seen(parts, arrays["owner"], arrays["composite"])


def network(model: str, weights: Path | None) -> nn.Module:
    """A model as it is looked through."""
    # as the embedder does: threads inside an operation wait for each other on busy cores
    torch.set_num_threads(1)
    return load_network(model, weights).eval()


def _collected(paths: Sequence[Path], outputs: Callable[[Raster, Picture], _Pooled]) -> Seen:
    found: dict[str, list[Floats]] = {}
    owner, composite = [], []
    for number, path in enumerate(paths):
        raster = read_raster(path, Limits())
        for picture in pictures(raster):
            owner.append(number)
            composite.append(picture.channel == COMPOSITE)
            for name, rows in outputs(raster, picture):
                found.setdefault(name, []).append(rows.numpy())
    return Seen({name: np.stack(rows, axis=1) for name, rows in found.items()}, np.array(owner), np.array(composite))


def _aspects(picture: Planes) -> Iterator[torch.Tensor]:
    whole = resized(picture, SIDE)
    for mirrored in (whole, whole.flip(3)):
        for turns in range(4):
            yield torch.rot90(mirrored, turns, (2, 3))
    for row in resized(picture, 2 * SIDE).split(SIDE, dim=2):
        yield from row.split(SIDE, dim=3)


def _pooled(network: nn.Module, batch: torch.Tensor) -> _Pooled:
    last, stages = network.forward_intermediates(batch)  # type: ignore[operator]  # not of every nn.Module
    for name, maps in [*((f"stage{number}", maps) for number, maps in enumerate(stages)), ("own", last)]:
        yield f"{name}/mean", maps.mean(dim=(2, 3))
        yield f"{name}/cubic", cubic_mean(maps)
        yield f"{name}/square", maps.square().mean(dim=(2, 3)).sqrt()
    yield "own/head", network.forward_head(last)  # type: ignore[operator]


def _simple(raster: Raster, picture: Picture) -> _Pooled:
    square = resized(picture.pixels, SIDE)
    yield "grid/mean", adaptive_avg_pool2d(square, GRID).flatten(1)
    for bins in BINS:
        yield f"tones/{bins}", tones(square, bins)
    planes = raster.pixels if raster.rgb or picture.channel == COMPOSITE else raster.pixels[picture.channel]
    # all labelled images are stored as whole numbers
    yield "light/stored", torch.tensor([[float(planes.mean()) / np.iinfo(planes.dtype).max]])
