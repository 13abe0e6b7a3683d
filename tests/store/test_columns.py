"""Columns of the embedded store, across the bounds of their chunks."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import numpy as np
import pytest
from pyroaring import BitMap

from hooke.store.sqlite.columns import drop_from_columns, merge_columns, read_column
from hooke.store.sqlite.schema import connect

LEVEL, FIELD = 1, 7
ORDINALS = [0, 65_535, 65_536, 200_000]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(connect(tmp_path / "metadata.sqlite")) as opened:
        yield opened


def put(connection: Connection, items: dict[int, int]) -> None:
    columns = [(FIELD, np.array(list(items.values()), np.int64), np.array(list(items), np.uint32))]
    merge_columns(connection, LEVEL, columns)


def held(connection: Connection) -> dict[int, int]:
    """The item of each ordinal, all sets being of one item."""
    ordinals, codes = read_column(connection, LEVEL, FIELD)
    items = {
        number: int.from_bytes(items, "little") for number, items in connection.execute("SELECT id, items FROM sets")
    }
    assert ordinals.tolist() == sorted(ordinals.tolist())
    return {ordinal: items[code] for ordinal, code in zip(ordinals.tolist(), codes.tolist(), strict=True)}


def records(connection: Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT chunk, records FROM columns ORDER BY chunk").fetchall()


def test_a_column_is_one_whatever_its_chunks(connection: Connection) -> None:
    put(connection, dict.fromkeys(ORDINALS[1:], 4))
    put(connection, {0: 2, 65_540: 6})
    assert held(connection) == {0: 2, 65_535: 4, 65_536: 4, 65_540: 6, 200_000: 4}
    assert records(connection) == [(0, 2), (1, 2), (3, 1)]


def test_an_empty_column_is_read_as_none(connection: Connection) -> None:
    assert [part.tolist() for part in read_column(connection, LEVEL, FIELD)] == [[], []]


def test_what_is_dropped_can_be_put_again_and_empty_chunks_go(connection: Connection) -> None:
    put(connection, dict.fromkeys(ORDINALS, 4))
    drop_from_columns(connection, LEVEL, [FIELD, FIELD + 1], BitMap([65_535, 200_000, 300_000]))
    assert held(connection) == {0: 4, 65_536: 4}
    assert records(connection) == [(0, 1), (1, 1)]
    put(connection, {65_535: 8})
    assert held(connection) == {0: 4, 65_535: 8, 65_536: 4}


def test_what_many_records_have_alike_takes_no_room(connection: Connection) -> None:
    put(connection, dict.fromkeys(range(100_000), 4))
    [(size,)] = connection.execute("SELECT sum(length(ords) + length(codes)) FROM columns")
    assert size < 4_000
