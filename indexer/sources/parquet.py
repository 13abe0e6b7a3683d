"""Tables as Parquet: rows as JSON has them, read a batch at a time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hooke.errors import TooLarge, UnreadableSource
from indexer.sources.base import DOCUMENT_LIMIT, one_line
from indexer.sources.json_text import Json

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

ROWS = 10_000_000
"""Rows of one table; a run of nulls of any length takes no room in a file."""
BATCH_ROWS = 1024


def read_parquet(path: Path) -> Iterator[dict[str, Json]]:
    """The rows of a table, one batch of them in memory; columns of bytes, such as pictures, are left out.

    Raises UnreadableSource for what is damaged or no Parquet, TooLarge for more than can be read a batch at a time.
    """
    # it takes 0.4 s to load
    import pyarrow.parquet

    with _driver_errors(), pyarrow.parquet.ParquetFile(path, memory_map=False) as table:
        _check(table)
        for batch in table.iter_batches(BATCH_ROWS, columns=_columns(table), use_threads=False):
            narrow = {field.name for field in batch.schema if str(field.type) in ("float", "halffloat")}
            for row in batch.to_pylist():
                yield {key: _short(value) if key in narrow else _plain(value) for key, value in row.items()}


def _check(table: "ParquetFile") -> None:
    metadata = table.metadata
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    if metadata.num_rows > ROWS or any(group.total_byte_size > DOCUMENT_LIMIT for group in groups):
        raise TooLarge(f"more than {ROWS:,} rows, or than {DOCUMENT_LIMIT >> 20} MiB in one row group; split it")


def _columns(table: "ParquetFile") -> list[str]:
    leaves = (table.schema.column(number) for number in range(len(table.schema)))
    return [leaf.path for leaf in leaves if not (leaf.physical_type.endswith("BYTE_ARRAY") and _is_bytes(leaf))]


def _is_bytes(leaf: object) -> bool:
    # the column class of a compiled module has no type of its own
    return str(getattr(leaf, "logical_type", "None")) == "None" and getattr(leaf, "converted_type", "NONE") == "NONE"


def _short(value: float | None) -> float | None:
    """A 32-bit number as it was written: 0.1, where 64 bits say 0.10000000149011612."""
    return value if value is None else float(str(np.float32(value)))


def _plain(value: object) -> Json:
    """A value as JSON has it; times as ISO 8601, decimals as they are written."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        # a map is a list of pairs
        if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
            return {str(key): _plain(item) for key, item in value}
        return [_plain(item) for item in value]
    return None


@contextmanager
def _driver_errors() -> Iterator[None]:
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UnreadableSource(f"not a Parquet table that can be read: {one_line(error)[:200]}") from error
    except MemoryError as error:
        raise TooLarge("a batch of its rows needs more memory than there is; write smaller row groups") from error
