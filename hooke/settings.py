"""The only reader of the environment."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar

from hooke.errors import BadInput

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How to reach Elasticsearch, and how to lay out the indices that are made there.

    nodes: asked instead of those that an index directory remembers, for a network where they go by other names.
    shards: of the image index. replicas: None lets a cluster keep one when it has a second node.
    """

    nodes: str | None = None
    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_certs: Path | None = None
    verify_certs: bool = True
    timeout_s: float = 30.0
    bulk_timeout_s: float = 120.0
    shards: int = 1
    replicas: int | None = None


DEFAULT_CLUSTER = ClusterSettings()


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """What the reading of one image that is indexed may take; the process that reads it is killed beyond that."""

    seconds: float = 60.0
    memory_bytes: int = 8 * 2**30


DEFAULT_READING = ReadingSettings()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, read once by a program's outer edge.

    shared_data: real data for tests and benchmarks. model: the default preset or timm model.
    weights: a local weights file for it, or None. device: where models run, auto, cpu or cuda. upload_*: limits on an
    uploaded image. reading: those on one that is indexed. cluster: Elasticsearch. vector_bytes: of vectors an exact
    search may have to read before trained lists answer approximately; None: any number.
    """

    shared_data: Path
    model: str
    weights: Path | None
    upload_bytes: int
    upload_pixels: int
    upload_channels: int
    upload_seconds: float
    cluster: ClusterSettings = DEFAULT_CLUSTER
    device: str = "auto"
    reading: ReadingSettings = DEFAULT_READING
    vector_bytes: int | None = None


def read_settings() -> Settings:
    """Read the environment: `HOOKE_SHARED_DATA`, `HOOKE_MODEL`, `HOOKE_WEIGHTS`, `HOOKE_DEVICE`,
    `HOOKE_VECTOR_BYTES`, `HOOKE_UPLOAD_*`, `HOOKE_IMAGE_*`, and `HOOKE_ELASTICSEARCH_*`.

    Raises BadInput for a limit that is no number, or half a pair of user and password.
    """
    weights = os.environ.get("HOOKE_WEIGHTS")
    return Settings(
        shared_data=Path(os.environ.get("HOOKE_SHARED_DATA", "../shared/data")),
        model=os.environ.get("HOOKE_MODEL", "fast"),
        weights=Path(weights) if weights else None,
        upload_bytes=_number("HOOKE_UPLOAD_BYTES", int, 256 * 2**20),
        upload_pixels=_number("HOOKE_UPLOAD_PIXELS", int, 2**28),
        upload_channels=_number("HOOKE_UPLOAD_CHANNELS", int, 32),
        upload_seconds=_number("HOOKE_UPLOAD_SECONDS", float, 20.0),
        cluster=_cluster_settings(),
        device=os.environ.get("HOOKE_DEVICE") or "auto",
        reading=ReadingSettings(
            seconds=_number("HOOKE_IMAGE_SECONDS", float, DEFAULT_READING.seconds, above=0),
            memory_bytes=_number("HOOKE_IMAGE_MEMORY", int, DEFAULT_READING.memory_bytes, above=0),
        ),
        vector_bytes=_number("HOOKE_VECTOR_BYTES", int, 0, above=-1) if os.environ.get("HOOKE_VECTOR_BYTES") else None,
    )


def _cluster_settings() -> ClusterSettings:
    text = {
        name: os.environ.get(f"HOOKE_ELASTICSEARCH_{name}") or None
        for name in ("URL", "API_KEY", "USER", "PASSWORD", "CA_CERTS", "REPLICAS")
    }
    if (text["USER"] is None) != (text["PASSWORD"] is None):
        raise BadInput("HOOKE_ELASTICSEARCH_USER and HOOKE_ELASTICSEARCH_PASSWORD go together: set both, or neither")
    if text["API_KEY"] and text["USER"]:
        raise BadInput("HOOKE_ELASTICSEARCH_API_KEY and HOOKE_ELASTICSEARCH_USER are two ways in: set one of them")
    return ClusterSettings(
        nodes=text["URL"],
        api_key=text["API_KEY"],
        user=text["USER"],
        password=text["PASSWORD"],
        ca_certs=Path(text["CA_CERTS"]) if text["CA_CERTS"] else None,
        verify_certs=_switch("HOOKE_ELASTICSEARCH_VERIFY_CERTS", True),
        timeout_s=_number("HOOKE_ELASTICSEARCH_TIMEOUT_SECONDS", float, 30.0),
        bulk_timeout_s=_number("HOOKE_ELASTICSEARCH_BULK_TIMEOUT_SECONDS", float, 120.0),
        shards=_number("HOOKE_ELASTICSEARCH_SHARDS", int, 1),
        replicas=_number("HOOKE_ELASTICSEARCH_REPLICAS", int, 0) if text["REPLICAS"] else None,
    )


def _switch(name: str, default: bool) -> bool:
    text = os.environ.get(name, "").casefold() or ("true" if default else "false")
    if text not in ("true", "false"):
        raise BadInput(f"{name}={text!r} in the environment: write true or false")
    return text == "true"


def _number(name: str, kind: Callable[[str], T], default: T, *, above: float = -inf) -> T:
    text = os.environ.get(name)
    if not text:
        return default
    wanted = "a whole number" if kind is int else "a number"
    try:
        number = kind(text)
    except ValueError as exc:
        raise BadInput(f"{name}={text!r} in the environment: give {wanted}, or unset it") from exc
    if not above < number < inf:
        raise BadInput(f"{name}={text!r} in the environment: give {wanted} above {above:g}, or unset it")
    return number
