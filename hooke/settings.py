"""The only reader of the environment."""

import os
from dataclasses import dataclass
from pathlib import Path


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
    """Read the environment: `HOOKE_SHARED_DATA`, `HOOKE_MODEL`, `HOOKE_WEIGHTS`, `HOOKE_UPLOAD_*`."""
    weights = os.environ.get("HOOKE_WEIGHTS")
    return Settings(
        shared_data=Path(os.environ.get("HOOKE_SHARED_DATA", "../shared/data")),
        model=os.environ.get("HOOKE_MODEL", "tf_efficientnet_lite0"),
        weights=Path(weights) if weights else None,
        upload_bytes=int(os.environ.get("HOOKE_UPLOAD_BYTES", 256 * 2**20)),
        upload_pixels=int(os.environ.get("HOOKE_UPLOAD_PIXELS", 2**28)),
        upload_channels=int(os.environ.get("HOOKE_UPLOAD_CHANNELS", 32)),
        upload_seconds=float(os.environ.get("HOOKE_UPLOAD_SECONDS", 20)),
    )
