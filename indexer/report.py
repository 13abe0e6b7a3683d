"""What an indexing run tells when it is done."""

import re
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from indexer.sources import Quarantined

Progress = Callable[[str, int, int | None], None]
"""Told the stage, how much of it is done, and of how much in all (None: not known)."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Report:
    """The index after a run, and what the run could not read.

    studies, images, embedded, mentions and unresolved count the whole index. unchanged: inputs skipped because they
    were indexed before in the same state. removed: images that their input no longer names. ignored: files in folders
    that are no metadata.
    """

    studies: int
    images: int
    embedded: int
    mentions: int
    unresolved: int
    quarantined: tuple[Quarantined, ...]
    snapshot: int
    seconds: float
    peak_memory_bytes: int
    unchanged: int = 0
    removed: int = 0
    ignored: int = 0


def peak_memory_bytes() -> int:
    """The most memory this process has had resident."""
    # not getrusage where this is known: on Linux a process inherits the peak of the one that started it
    status = Path("/proc/self/status")
    if status.exists() and (own := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(own[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
