"""Columns of the embedded store, across the bounds of their chunks."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import numpy as np
import pytest
from pyroaring import BitMap

from hooke.errors import CorruptIndex
from hooke.store.sqlite.columns import (
    Column,
    drop_from_columns,
    images_of,
    merge_columns,
    read_column,
    read_owners,
    read_sets,
    set_owners,
)
from hooke.store.sqlite.schema import ANY_FIELD, connect

LEVEL, FIELD = 1, 7
ORDINALS = [0, 65_535, 65_536, 200_000]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with closing(connect(tmp_path / "metadata.sqlite")) as opened:
        yield opened


def put(connection: Connection, items: dict[int, int]) -> None:
    column = Column(FIELD, np.array(list(items.values()), np.int32), np.array(list(items), np.uint32))
    merge_columns(connection, LEVEL, [column])


def held(connection: Connection) -> dict[int, int]:
    """The item of each ordinal, which has one only."""
    ordinals, codes = read_column(connection, LEVEL, FIELD)
    assert ordinals.tolist() == sorted(ordinals.tolist())
    assert connection.execute("SELECT count(*) FROM sets").fetchone() == (0,)
    return dict(zip(ordinals.tolist(), codes.tolist(), strict=True))


def records(connection: Connection) -> list[tuple[int, int]]:
    return connection.execute("SELECT chunk, records FROM columns ORDER BY chunk").fetchall()


def test_a_column_is_one_whatever_its_chunks(connection: Connection) -> None:
    put(connection, dict.fromkeys(ORDINALS[1:], 4))
    put(connection, {0: 2, 65_540: 6})
    assert held(connection) == {0: 2, 65_535: 4, 65_536: 4, 65_540: 6, 200_000: 4}
    assert records(connection) == [(0, 2), (1, 2), (3, 1)]


def test_what_a_record_has_is_read_as_it_was_put_one_item_or_several(connection: Connection) -> None:
    pairs = [(0, 4), (1, 4), (1, 9), (2, 9), (2, 4), (70_000, 3), (70_000, 4), (70_000, 9)]
    for part in (pairs[:3], pairs[3:]):
        ords, items = np.array([o for o, _ in part], np.uint32), np.array([i for _, i in part], np.int32)
        merge_columns(connection, LEVEL, [Column(FIELD, items, ords)])
    ordinals, codes = read_column(connection, LEVEL, FIELD)
    assert ordinals.tolist() == [0, 1, 2, 70_000]
    assert read_sets(connection, FIELD, codes.tolist()) == [[4], [4, 9], [4, 9], [3, 4, 9]]
    assert codes[1] == codes[2]


def test_a_studys_images_are_those_that_live(connection: Connection) -> None:
    set_owners(connection, {3: BitMap([1, 70_000]), 0: BitMap([2])})
    drop_from_columns(connection, LEVEL, [ANY_FIELD], BitMap([1]))
    assert images_of(connection, [3, 5]) == [70_000]
    assert [part.tolist() for part in read_owners(connection)] == [[2, 70_000], [0, 3]]
    assert images_of(connection, []) == []


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


def test_a_file_of_an_older_layout_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "metadata.sqlite"
    with closing(connect(path)) as opened:
        opened.execute("PRAGMA user_version = 2")
    with pytest.raises(CorruptIndex, match=r"schema version 2.*index again into a new directory"):
        connect(path)
