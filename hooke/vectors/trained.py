"""The file of a kind's trained lists: the arrays that approximate search reads, and what it needs to know of them."""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hooke.vectors.approximate import Odds, Trained
from hooke.vectors.checked import FAULTS, About, read_about, read_arrays, write_arrays
from hooke.vectors.inverted import Inverted

logger = logging.getLogger(__name__)

FORMAT = 2
_ABANDONED_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Lists:
    """Where a kind's trained lists are, and when they answer: where an exact search may have to read more bytes.

    names: of the segments that are searched.
    """

    path: Path
    fingerprint: str
    names: tuple[str, ...]
    most_bytes: int

    def version(self) -> tuple[int, int] | None:
        """Another for another file; None where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def read(self) -> Trained | None:
        """As `read_trained`."""
        return read_trained(self.path, self.fingerprint)


def write_trained(path: Path, trained: Trained, fingerprint: str) -> None:
    """Write, or replace, a file; killed at any point there is the former one, or the new."""
    lists = trained.inverted
    about = {
        **_expected(fingerprint),
        "segments": trained.segments,
        "gaps": trained.odds.gaps.tolist(),
        "ranks": trained.odds.ranks.tolist(),
        "shares": trained.odds.shares.tolist(),
        "veil": trained.veil,
        "doubt": trained.doubt,
    }
    _remove_abandoned(path.parent)
    write_arrays(path, about, (lists.begins, lists.spreads, lists.rows, lists.centres, lists.lists, lists.codes))


def _expected(fingerprint: str) -> About:
    return {"format": FORMAT, "fingerprint": fingerprint}


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed trainings left; one that is written now has changed within the hour."""
    for left in folder.glob("tmp-*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()


def read_trained(path: Path, fingerprint: str) -> Trained | None:
    """What a file has; None, and a line in the log, where there is none, or one that does not hold."""
    try:
        body, (begins, spreads, rows, centres, lists, codes) = read_arrays(path, _expected(fingerprint))
        inverted = Inverted(centres, spreads, begins, rows, lists, codes)  # type: ignore[arg-type]  # as written
        odds = Odds(
            np.array(body["gaps"], dtype=np.float64),
            np.array(body["ranks"], dtype=np.int64),
            np.array(body["shares"], dtype=np.float64),
        )
        segments = tuple((str(name), int(count)) for name, count in body["segments"])
        return Trained(inverted, odds, float(body["veil"]), float(body["doubt"]), segments)
    except FileNotFoundError:
        logger.warning("no trained lists in %s: searching exactly; make them with `hooke train`", path)
    except FAULTS as exc:
        logger.warning("%s is not used (%s): searching exactly; make it anew with `hooke train`", path, exc)
    return None


def named_segments(path: Path, fingerprint: str) -> list[str]:
    """The segments of which a file has lists; none where there is none, or its header does not hold."""
    try:
        return [str(name) for name, _ in read_about(path, _expected(fingerprint))["segments"]]
    except FAULTS:
        return []
