"""What makes searches of a large index faster, made in the background while they are answered without it."""

import logging
import threading
from collections.abc import Sequence

from hooke.errors import HookeError
from hooke.vectors.codes import Codes
from hooke.vectors.columns import Segment
from hooke.vectors.planner import ProductRates, Rates
from hooke.vectors.rates import measured_product_rates, measured_rates, typical_rates

logger = logging.getLogger(__name__)

CODED_FROM_ROWS = 16_384
"""Rows of a segment from which codes pay for their file; hundreds of smaller ones are a case for compaction."""


class Preparation:
    """The machine's rates and the segments' codes, from when they are there."""

    def __init__(self, segments: Sequence[Segment], dim: int) -> None:
        self.rates: Rates = typical_rates(dim)
        self._codes: dict[int, Codes] = {}
        self._coded = [(number, each) for number, each in enumerate(segments) if len(each.rows) >= CODED_FROM_ROWS]
        self._dim = dim
        self._started = threading.Lock()
        self._ended = threading.Event()

    def codes(self, number: int) -> Codes | None:
        """The codes of a segment by its number, once they are made."""
        return self._codes.get(number)

    def product_rates(self) -> ProductRates:
        """What a product of codes costs; measured at the first call."""
        # not with the others: it loads torch, and a program that asks once and ends has no use for that
        return measured_product_rates(self._dim)

    def start(self) -> None:
        """Begin, if there is anything to do that was not begun."""
        if self._coded and self._started.acquire(blocking=False):
            # a daemon: a program that ends need not wait for a cache
            threading.Thread(target=self._run, name="vectors-prepare", daemon=True).start()

    def wait(self) -> None:
        """Begin, and return when all is made."""
        self.start()
        if self._coded:
            self._ended.wait()

    def _run(self) -> None:
        try:
            self.rates = measured_rates(self._dim)
            for number, segment in self._coded:
                if segment.make_codes is not None:
                    self._codes[number] = segment.make_codes()
        except (HookeError, OSError, MemoryError):
            logger.warning("searches go on without byte codes", exc_info=True)
        finally:
            self._ended.set()
