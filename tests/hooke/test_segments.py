"""What only files can get wrong: layout, damage, crashes, a full disk."""

import json
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from hooke.errors import BadInput, CorruptIndex, NoSpace, SpaceMismatch
from hooke.vectors import kernels, planner, segments
from hooke.vectors.base import Block
from hooke.vectors.segments import SegmentStore
from hooke.views import Kind
from tests.contract.vector_store import block, placed, random_rows, unit

SPACE = "a" * 64
FILES = ["digests.u64", "meta.json", "ordinals.u32", "rows.f32"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
def store(folder: Path) -> SegmentStore:
    return SegmentStore(folder, SPACE)


def large_block() -> Block:
    """A block above the size whose checksums are verified at each opening."""
    return block(random_rows(3000, dim=128), range(3000))


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_segment_is_raw_little_endian_arrays_by_ordinal(store: SegmentStore, folder: Path) -> None:
    vectors = unit([[1, 0], [0, 1], [0, -1]])
    name = store.append(Block(vectors, np.array([9, 2, 2], np.uint32), np.array([5, 6, 6], np.uint64)))

    assert sorted(path.name for path in (folder / name).iterdir()) == FILES
    assert (folder / name / "rows.f32").read_bytes() == bytes.fromhex(
        "00000000 0000803f 00000000 000080bf 0000803f 00000000"
    )
    assert (folder / name / "ordinals.u32").read_bytes() == bytes.fromhex("02000000 02000000 09000000")
    assert (folder / name / "digests.u64").read_bytes() == bytes.fromhex(
        "0600000000000000 0600000000000000 0500000000000000"
    )
    body = json.loads((folder / name / "meta.json").read_text())["body"]
    assert {key: body[key] for key in ("format", "fingerprint", "rows", "dim", "byte_order")} == {
        "format": 2,
        "fingerprint": SPACE,
        "rows": 3,
        "dim": 2,
        "byte_order": "little",
    }


def test_places_are_a_file_of_their_own_where_a_kind_has_them(store: SegmentStore, folder: Path) -> None:
    name = store.append(placed(random_rows(2), [9, 2], Kind.CHANNEL, [[1], [3]]))
    assert name.startswith("channel-")
    assert sorted(path.name for path in (folder / name).iterdir()) == sorted([*FILES, "places.u32"])
    assert (folder / name / "places.u32").read_bytes() == bytes.fromhex("03000000 01000000")
    flip_a_byte(folder / name / "places.u32")
    with pytest.raises(CorruptIndex, match=r"places\.u32"):
        store.read([name], Kind.CHANNEL)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", ["cut", "flip", "grow", "remove"])
def test_damage_to_any_file_of_a_small_segment_is_found_at_opening(
    store: SegmentStore, folder: Path, file: str, damage: str
) -> None:
    name = store.append(block(random_rows(5), range(5)))
    path = folder / name / file
    if damage == "flip":
        flip_a_byte(path)
    elif damage == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] if damage == "cut" else path.read_bytes() + b"\0")

    with pytest.raises(CorruptIndex, match=file):
        store.read([name])


def test_a_cut_file_of_a_large_segment_is_found_at_opening(store: SegmentStore, folder: Path) -> None:
    name = store.append(large_block())
    path = folder / name / "rows.f32"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CorruptIndex, match=r"rows\.f32: 1535996 bytes instead of 1536000"):
        store.read([name])


def test_a_flipped_byte_of_a_large_segment_is_found_by_verify(store: SegmentStore, folder: Path) -> None:
    whole, damaged = store.append(large_block()), store.append(large_block())
    flip_a_byte(folder / damaged / "rows.f32")
    store.verify([whole])
    with pytest.raises(CorruptIndex, match=rf"{damaged}.rows\.f32"):
        store.verify([whole, damaged])


def test_a_segment_of_another_space_is_refused(store: SegmentStore, folder: Path) -> None:
    name = store.append(block(random_rows(1), [0]))
    with pytest.raises(SpaceMismatch, match="bbbb"):
        SegmentStore(folder, "b" * 64).read([name])


def test_rows_of_two_lengths_never_meet(store: SegmentStore) -> None:
    segments = [store.append(block(random_rows(1), [0])), store.append(block(random_rows(1, dim=9), [1]))]
    with pytest.raises(CorruptIndex, match=r"\[8, 9\]"):
        store.read(segments)


@pytest.mark.parametrize("name", ["../vectors", "", "tmp-" + "0" * 32, "0" * 32])
def test_a_name_that_is_no_segment_is_refused(store: SegmentStore, name: str) -> None:
    store.append(block(random_rows(1), [0]))
    with pytest.raises(CorruptIndex):
        store.read([name])


def test_what_a_killed_writer_left_is_discarded_and_nothing_else(store: SegmentStore, folder: Path) -> None:
    kept = store.append(block(random_rows(1), [0]))
    store.append(block(random_rows(1), [1]))
    shutil.copytree(folder / kept, folder / f"tmp-{kept}")
    (folder / "notes.txt").write_text("not ours")

    store.discard_except([kept])
    assert {path.name for path in folder.iterdir()} == {kept, "notes.txt"}


def test_discarding_where_nothing_was_written_does_nothing(store: SegmentStore, folder: Path) -> None:
    store.discard_except([])
    assert not folder.exists()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to let any file grow further: what a full disk does, without a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_and_leaves_nothing_half_written(store: SegmentStore, folder: Path) -> None:
    kept = store.append(block(random_rows(1), [0]))
    with files_of_at_most(100_000), pytest.raises(NoSpace, match="no space left"):
        store.append(large_block())
    assert [path.name for path in folder.iterdir()] == [kept]
    assert store.read([kept]).ordinals() == BitMap([0])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot be written"):
        SegmentStore(tmp_path / "file", SPACE).append(block(random_rows(1), [0]))


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells how a file is mapped")
def test_a_few_rows_of_a_large_file_are_read_without_what_is_around_them(
    store: SegmentStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_SCATTERED_FROM_BYTES", 2**20)
    rows = random_rows(3000, dim=128)
    names = [store.append(block(rows, range(3000))), store.append(block(rows[:100], range(100)))]
    large, small = store.open(names)

    assert large.rows_for(1500) is large.rows
    assert small.rows_for(1) is small.rows
    np.testing.assert_array_equal(large.rows_for(10), rows)
    flags = re.findall(rf"{names[0]}/rows.f32\n(?:\w+:.*\n)*VmFlags:(.*)", Path("/proc/self/smaps").read_text())
    assert sorted(" rr" in each for each in flags) == [False, True]  # rr: read at random


def test_small_sets_are_gathered_and_large_ones_scanned(store: SegmentStore) -> None:
    rows = random_rows(1000)
    reader = store.read([store.append(block(rows, range(1000)))])
    assert reader.search(rows[:1], 5, allowed=BitMap(range(10))).method == planner.GATHER
    assert reader.search(rows[:1], 5, allowed=BitMap(range(900)) - BitMap([7])).method == planner.SCAN


def test_rescoring_does_not_depend_on_the_batch() -> None:
    rows, queries = random_rows(300, dim=1280), random_rows(2, dim=1280, seed=1)
    together = planner.rescore(rows, queries, np.arange(300))
    alone = [planner.rescore(rows, queries, np.array([position]))[0] for position in range(300)]
    assert together.tolist() == alone


def test_both_kernels_stay_within_the_error_bound() -> None:
    rows, queries = random_rows(500, dim=1280), random_rows(3, dim=1280, seed=1)
    everything = np.arange(500)
    truth = planner.rescore(rows, queries, everything)
    for scores in (kernels.scan(rows, queries), kernels.gather(rows, queries, everything)):
        assert np.abs(scores - truth).max() <= planner.error_bound(1280)


def test_finalists_hold_every_image_the_bound_cannot_rule_out() -> None:
    bound = planner.error_bound(100)
    scores = np.array([0.9, 0.5, 0.5 - 1.9 * bound, 0.5 - 2.1 * bound, 0.1], dtype=np.float32)
    assert planner.finalists(scores, 2, bound).tolist() == [0, 1, 2]
