"""Compaction keeps every useful row and nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hooke.errors import CorruptIndex
from hooke.vectors import compact as compaction
from hooke.vectors.base import Block
from hooke.vectors.compact import FEW, compact, tidy
from hooke.vectors.segments import SegmentStore
from hooke.views import Kind
from tests.contract.vector_store import block, brute_force, placed, random_rows

SPACE = "a" * 64


def _block(counts: dict[int, int], seed: int) -> Block:
    """Images by ordinal, with so many rows each."""
    return block(random_rows(sum(counts.values()), seed=seed), np.repeat(list(counts), list(counts.values())))


_counts = st.dictionaries(st.integers(0, 15), st.integers(1, 3), min_size=1, max_size=8)


@settings(max_examples=30, deadline=None)
@given(st.lists(_counts, min_size=1, max_size=4), st.sets(st.integers(0, 15)), st.sampled_from([0, 4, 2**20]))
def test_what_is_kept_reads_as_before_and_the_rest_is_gone(
    images: list[dict[int, int]], keep: set[int], small: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "SMALL_ROWS", small)
        patch.setattr(compaction, "_CHUNK_IMAGES", 3)
        store = SegmentStore(Path(folder), SPACE)
        names = [store.append(_block(counts, seed)) for seed, counts in enumerate(images)]
        before = store.read(names)
        made = compact(store, names, BitMap(keep))
        after = store.read(made)

        kept = before.ordinals() & BitMap(keep)
        assert after.ordinals() & BitMap(keep) == kept
        for ordinal in kept:
            np.testing.assert_array_equal(after.vectors_of(ordinal), before.vectors_of(ordinal))
            assert after.digests()[ordinal] == before.digests()[ordinal]
        query = random_rows(1, seed=99)
        assert after.search(query, 20, allowed=kept).hits == before.search(query, 20, allowed=kept).hits
        if small == 2**20:
            assert after.ordinals() == kept
            assert len(made) <= 1
            assert sum(len(each.rows) for each in store.open(made)) == sum(
                len(before.vectors_of(ordinal)) for ordinal in kept
            )
        store.verify(made)


def test_kinds_are_merged_apart_and_keep_their_places(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, SPACE)
    boxes = [np.arange(12).reshape(3, 4) + 100 * seed for seed in range(2)]
    names = [store.append(placed(random_rows(3, seed=s), [s, s, 5], Kind.TILE, boxes[s])) for s in range(2)]
    names.insert(1, store.append(_block({0: 1, 1: 1, 5: 1}, 9)))
    merged = compact(store, names, BitMap([0, 1, 5]))

    assert [name.partition("-")[0] for name in merged] == ["whole", "tile"]
    assert merged[0] == names[1]
    tiles = store.read(merged, Kind.TILE)
    assert [tiles.places_of(ordinal).tolist() for ordinal in (0, 1, 5)] == [
        boxes[0][:2].tolist(),
        boxes[1][:2].tolist(),
        boxes[1][2:].tolist(),
    ]
    np.testing.assert_array_equal(tiles.vectors_of(0), random_rows(3)[:2])
    store.verify(merged)


def test_what_would_gain_nothing_is_left_alone(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, SPACE)
    one = (store.append(_block({1: 2, 5: 1}, 0)),)
    assert compact(store, one, BitMap([1, 5])) == one
    assert compact(store, (), BitMap()) == ()


def test_a_large_segment_stays_until_a_fifth_of_it_is_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SMALL_ROWS", 5)
    store = SegmentStore(tmp_path, SPACE)
    large = store.append(_block(dict.fromkeys(range(10), 1), 0))
    small = [store.append(_block({seed: 1}, seed)) for seed in (3, 20)]
    merged = compact(store, [large, *small], BitMap(range(30)))
    assert merged[0] == large
    assert len(merged) == 2
    np.testing.assert_array_equal(store.read(merged).vectors_of(3), random_rows(1, seed=3))

    assert len(compact(store, merged, BitMap(range(6)))) == 1


def test_many_small_runs_leave_few_segments_and_the_same_answers(tmp_path: Path) -> None:
    store, query = SegmentStore(tmp_path, SPACE), random_rows(1, seed=999)
    names: tuple[str, ...] = ()
    written = copied = 0
    blocks = []
    for run in range(150):
        blocks.append(_block(dict.fromkeys(range(3 * run, 3 * run + 4), 1), run))  # the last image comes again
        before = (*names, store.append(blocks[-1]))
        names = tidy(store, before, BitMap(range(500)))
        written += 4
        copied += sum(len(each.rows) for each in store.open([name for name in names if name not in before]))
    assert len(names) <= FEW + 6
    assert copied <= 6 * written, "rows were merged again and again"
    found_, expected = store.read(names).search(query, 20), brute_force(blocks, query, 20, None)
    assert [(hit.ordinal, hit.similarity) for hit in found_.hits] == expected


def test_few_segments_and_small_dead_ones_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SegmentStore(tmp_path, SPACE)
    names = tuple(store.append(_block({seed: 1, 99: 1}, seed)) for seed in range(FEW))
    assert tidy(store, names, BitMap([0])) == names
    monkeypatch.setattr(compaction, "SMALL_ROWS", 2)
    large = tuple(store.append(_block(dict.fromkeys(range(10), 1), seed)) for seed in range(2))
    left = tidy(store, large, BitMap(range(10)))
    assert left == large[1:], "all of the first is replaced"


def test_damage_is_not_copied_under_a_new_checksum(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, SPACE)
    names = [store.append(block(random_rows(3000, dim=128, seed=seed), range(3000))) for seed in range(2)]
    path = tmp_path / names[0] / "rows.f32"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptIndex, match=names[0]):
        compact(store, names, BitMap(range(3000)))


def test_an_open_reader_outlives_compaction(tmp_path: Path) -> None:
    store = SegmentStore(tmp_path, SPACE)
    names = [store.append(_block({seed: 1}, seed)) for seed in range(3)]
    opened = store.read(names)
    made = compact(store, names, BitMap(range(3)))
    store.discard_except(made)
    assert opened.search(random_rows(1), 3).hits == store.read(made).search(random_rows(1), 3).hits
