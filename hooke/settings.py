"""The only reader of the environment."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hooke.errors import BadInput

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, read once by a program's outer edge.

    shared_data: real data for tests and benchmarks. model: the default timm model.
    weights: a local weights file for it, or None. upload_*: limits on an uploaded image.
    """

    shared_data: Path
    model: str
    weights: Path | None
    upload_bytes: int
    upload_pixels: int
    upload_channels: int
    upload_seconds: float


def read_settings() -> Settings:
    """Read the environment: `HOOKE_SHARED_DATA`, `HOOKE_MODEL`, `HOOKE_WEIGHTS`, `HOOKE_UPLOAD_*`.

    Raises BadInput for a limit that is no number.
    """
    weights = os.environ.get("HOOKE_WEIGHTS")
    return Settings(
        shared_data=Path(os.environ.get("HOOKE_SHARED_DATA", "../shared/data")),
        model=os.environ.get("HOOKE_MODEL", "tf_efficientnet_lite0"),
        weights=Path(weights) if weights else None,
        upload_bytes=_number("HOOKE_UPLOAD_BYTES", int, 256 * 2**20),
        upload_pixels=_number("HOOKE_UPLOAD_PIXELS", int, 2**28),
        upload_channels=_number("HOOKE_UPLOAD_CHANNELS", int, 32),
        upload_seconds=_number("HOOKE_UPLOAD_SECONDS", float, 20.0),
    )


def _number(name: str, kind: Callable[[str], T], default: T) -> T:
    text = os.environ.get(name)
    if text is None:
        return default
    try:
        return kind(text)
    except ValueError as exc:
        raise BadInput(f"{name}={text!r} in the environment: give a number, or unset it") from exc
