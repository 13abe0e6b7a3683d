"""The rank of every record in an order, made once a snapshot from what is stored anyway."""

import sqlite3

import numpy as np

from hooke.model import Level
from hooke.query import SortKey
from hooke.sorting import Floats, combined, field_number, sort_fields, title_key
from hooke.store.sqlite.evaluate import Column, Evaluator

LAST = np.inf
"""The rank of a record without the value."""


def ranks(evaluator: Evaluator, key: SortKey, size: int) -> Floats:
    """The rank of each ordinal below `size` by number, the least first: float64 (size,), equal for equal numbers."""
    fields = sort_fields(key, evaluator.level)
    numbers = combined(key, evaluator.level, [_numbers(field, evaluator.column(field), size) for field in fields])
    known = ~np.isnan(numbers)
    found = np.full(size, LAST)
    found[known] = np.unique(numbers[known], return_inverse=True)[1]
    return found


def title_ranks(connection: sqlite3.Connection, level: Level, size: int) -> Floats:
    """The same by title."""
    table = "studies" if level is Level.STUDY else "images"
    keys = {ordinal: title_key(title) for ordinal, title in connection.execute(f"SELECT ord, title FROM {table}")}
    places = {key: place for place, key in enumerate(sorted(set(keys.values()) - {""}))}
    found = np.full(size, LAST)
    found[list(keys)] = [places.get(key, LAST) for key in keys.values()]
    return found


def _numbers(field: str, column: Column, size: int) -> Floats:
    numbers = np.full(size, np.nan)
    by_set = np.array([field_number(field, held.values) for held in column.sets], np.float64)
    numbers[column.ordinals] = by_set[column.codes] if len(by_set) else np.nan
    return numbers
