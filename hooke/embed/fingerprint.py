"""A space's identity: the digest of its recipe, and golden vectors that show a machine still computes the same."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hooke.embed.base import Embedder, Raster, Space, Vectors
from hooke.errors import CorruptIndex, SpaceMismatch

MIN_GOLDEN_COSINE = 0.9999
_SHOWN = 24


def fingerprint(recipe: Mapping[str, object]) -> str:
    """Hex SHA-256 of a recipe's canonical JSON: sorted keys, no spaces, ASCII.

    >>> fingerprint({"model": "a", "dim": 2}) == fingerprint({"dim": 2, "model": "a"})
    True
    """
    canonical = json.dumps(dict(recipe), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(known: Space, found: Space) -> str:
    """In which settings two spaces differ, each with the value of both: for people."""
    flat = [_flat(space.recipe) for space in (known, found)]
    names = [name for name in dict.fromkeys((*flat[0], *flat[1])) if flat[0].get(name) != flat[1].get(name)]
    return "; ".join(f"{name}: {_short(flat[0].get(name))}, here {_short(flat[1].get(name))}" for name in names)


def _flat(recipe: Mapping[str, object], within: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in recipe.items():
        found |= _flat(value, f"{within}{name}.") if isinstance(value, Mapping) else {f"{within}{name}": value}
    return found


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def golden_rasters() -> tuple[Raster, ...]:
    """Fixed synthetic rasters of every kind: 1, 2 and 4 channels, 8 and 16 bits, colour, not square."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float64)
    wave = (np.sin(x / 7) * np.cos(y / 5) + 1) / 2
    disc = ((x - 60) ** 2 + (y - 40) ** 2 < 900).astype(np.float64)
    spots = ((x % 16 < 4) & (y % 12 < 4)).astype(np.float64)
    ramp = (x + y) / (x + y).max()
    return (
        Raster((wave[None] * 255).astype(np.uint8), rgb=False),
        Raster((np.stack([disc, wave]) * 4095).astype(np.uint16), rgb=False),
        Raster((np.stack([disc, wave, spots, ramp]) * 65535).astype(np.uint16), rgb=False),
        Raster((np.stack([ramp, wave, disc]) * 255).astype(np.uint8), rgb=True),
    )


def golden_vector(embedder: Embedder) -> Vectors:
    """The rows of the golden rasters: float32 (4, dim)."""
    return embedder.embed(golden_rasters())


def check_golden(embedder: Embedder, expected: Vectors) -> None:
    """Raise SpaceMismatch when this machine's golden rows are not those of the index (cosine below 0.9999)."""
    rows = golden_vector(embedder)
    if rows.shape != expected.shape:
        raise SpaceMismatch(f"the model gives rows of shape {rows.shape}, the index has {expected.shape}; index anew")
    cosine = float((rows.astype(np.float64) * expected).sum(axis=1).min())
    if not cosine >= MIN_GOLDEN_COSINE:
        raise SpaceMismatch(
            f"{embedder.space.model} computes other vectors here than when indexed (cosine {cosine:.6f}); index anew"
        )


def save_space(space: Space, golden: Vectors, path: Path) -> None:
    """Write a space and its golden rows as JSON, whole or not at all."""
    content = {
        "fingerprint": space.fingerprint,
        "model": space.model,
        "dim": space.dim,
        "recipe": dict(space.recipe),
        "golden": base64.b64encode(np.ascontiguousarray(golden, dtype="<f4").tobytes()).decode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def load_space(path: Path) -> tuple[Space, Vectors]:
    """A saved space and its golden rows. Raises CorruptIndex when the file does not hold."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        space = Space(content["fingerprint"], content["model"], content["dim"], content["recipe"])
        values = np.frombuffer(base64.b64decode(content["golden"], validate=True), dtype="<f4")
        golden = values.reshape(-1, space.dim).astype(np.float32)
    except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError) as exc:
        raise CorruptIndex(f"{path}: not a space that Hooke wrote; index anew") from exc
    if fingerprint(space.recipe) != space.fingerprint:
        raise CorruptIndex(f"{path}: the recipe does not give the fingerprint; index anew")
    return space, golden
