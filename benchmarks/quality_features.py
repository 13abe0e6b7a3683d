"""What a model sees of each labelled image, computed once: outputs that `benchmarks.quality_tried` joins and weighs.

A picture is what indexing shows a model of an image (a channel, colour, a composite); an aspect is one way to show it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from timm.data.config import resolve_model_data_config
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from hooke.embed.base import Raster
from hooke.embed.preprocess import COMPOSITE, Picture, pictures
from hooke.embed.stages import cubic_mean
from hooke.embed.timm import load_network, resized
from hooke.embed.tones import tones
from hooke.pixels import Limits, read_raster

Floats = npt.NDArray[np.float32]
ORIENTATIONS = 8
"""Aspects of a picture: four turns, and the same mirrored."""
SIDE = 224
GRID = 32
BINS = (8, 16, 32)
# as the embedder: activations of a larger batch outgrow malloc's reuse
_BATCH = 2
_Pooled = Iterator[tuple[str, torch.Tensor]]
_Pooling = Callable[[nn.Module, torch.Tensor], _Pooled]


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


def look(network: nn.Module, paths: Sequence[Path]) -> Seen:
    """All outputs of a network for each picture."""
    return _look(network, paths, lambda whole: [whole], _pooled)


def look_around(network: nn.Module, paths: Sequence[Path]) -> Seen:
    """The outputs of a network for each aspect of each picture, in the pooling that was kept."""
    return _look(network, paths, _turned, _kept_pooling)


@torch.inference_mode()
def _look(
    network: nn.Module, paths: Sequence[Path], aspects: Callable[[torch.Tensor], list[torch.Tensor]], pooled: _Pooling
) -> Seen:
    config = resolve_model_data_config(network)  # type: ignore[no-untyped-call]  # timm does not type it
    mean, std = (torch.tensor(config[name]).reshape(1, 3, 1, 1) for name in ("mean", "std"))

    def outputs(_: Raster, picture: Picture) -> _Pooled:
        shown = (torch.cat(aspects(resized(picture.pixels, SIDE))) - mean) / std
        batches = [dict(pooled(network, batch)) for batch in torch.split(shown, _BATCH)]
        return ((name, torch.cat([batch[name] for batch in batches])) for name in batches[0])

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
    return load_network(model, weights).eval()


def _collected(paths: Sequence[Path], outputs: Callable[[Raster, Picture], _Pooled]) -> Seen:
    # as the embedder does: threads inside an operation wait for each other on busy cores
    torch.set_num_threads(1)
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


def _turned(whole: torch.Tensor) -> list[torch.Tensor]:
    return [torch.rot90(each, turns, (2, 3)) for each in (whole, whole.flip(3)) for turns in range(4)]


def _pooled(network: nn.Module, batch: torch.Tensor) -> _Pooled:
    last, stages = network.forward_intermediates(batch)  # type: ignore[operator]  # not of every nn.Module
    for name, maps in [*((f"stage{number}", maps) for number, maps in enumerate(stages)), ("own", last)]:
        yield f"{name}/mean", maps.mean(dim=(2, 3))
        yield f"{name}/cubic", cubic_mean(maps)
        yield f"{name}/square", maps.square().mean(dim=(2, 3)).sqrt()
    yield "own/head", network.forward_head(last)  # type: ignore[operator]


def _kept_pooling(network: nn.Module, batch: torch.Tensor) -> _Pooled:
    last, stages = network.forward_intermediates(batch)  # type: ignore[operator]  # not of every nn.Module
    for number, maps in enumerate(stages):
        yield f"stage{number}/cubic", cubic_mean(maps)
    yield "own/head", network.forward_head(last)  # type: ignore[operator]


def _simple(raster: Raster, picture: Picture) -> _Pooled:
    square = resized(picture.pixels, SIDE)
    yield "grid/mean", adaptive_avg_pool2d(square, GRID).flatten(1)
    for bins in BINS:
        yield f"tones/{bins}", tones(square, bins)
    planes = raster.pixels if raster.rgb or picture.channel == COMPOSITE else raster.pixels[picture.channel]
    # all labelled images are stored as whole numbers
    yield "light/stored", torch.tensor([[float(planes.mean()) / np.iinfo(planes.dtype).max]])
