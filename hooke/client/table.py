"""Answers as tables, where pandas is installed."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def table(hits: Iterable[object], columns: Sequence[str]) -> "pd.DataFrame":
    """A row a hit; columns are the hits' attributes."""
    import pandas as pd

    # columns by name, so that an empty table has them too
    return pd.DataFrame([[getattr(hit, name) for name in columns] for hit in hits], columns=list(columns))
