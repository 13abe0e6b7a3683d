"""The suite every VectorStore passes: inherit `VectorStoreContract` and give a `store` fixture."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hooke.errors import BadInput, CorruptIndex, ZeroVector
from hooke.vectors.base import Block, Neighbours, VectorReader, Vectors, VectorStore
from hooke.vectors.contrast import Contrast
from hooke.views import Kind

DIM = 8
_LAST = 2**32 - 1


def unit(rows: object) -> Vectors:
    """Rows scaled to unit length."""
    values = np.asarray(rows, dtype=np.float64)
    scaled: Vectors = (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def random_rows(count: int, *, dim: int = DIM, seed: int = 0) -> Vectors:
    """Random directions."""
    return unit(np.random.default_rng(seed).standard_normal((count, dim)))


def block(vectors: Vectors, ordinals: Iterable[int]) -> Block:
    """Rows with their ordinals; an image's digest is its ordinal plus one."""
    numbers = np.fromiter(ordinals, dtype=np.uint32)
    return Block(vectors, numbers, numbers.astype(np.uint64) + np.uint64(1))


def placed(vectors: Vectors, ordinals: Iterable[int], kind: Kind, places: object) -> Block:
    """Rows of a kind with where they are in their images."""
    rows = block(vectors, ordinals)
    return replace(rows, kind=kind, places=np.array(places, np.uint32))


def brute_force(blocks: Sequence[Block], queries: Vectors, k: int, allowed: BitMap | None) -> list[tuple[int, float]]:
    """The answer by definition: every live row in float64, ties by ordinal."""
    live: dict[int, Vectors] = {}
    for written in blocks:
        live.update({int(o): written.vectors[written.ordinals == o] for o in np.unique(written.ordinals)})
    wide = queries.astype(np.float64)
    scores = [
        (-max(float((row * query).sum()) for row in rows.astype(np.float64) for query in wide), ordinal)
        for ordinal, rows in live.items()
        if allowed is None or ordinal in allowed
    ]
    return [(ordinal, -score) for score, ordinal in sorted(scores)[:k]]


def contrasted(blocks: Sequence[Block], like: Vectors, unlike: Vectors) -> list[tuple[float, int]]:
    """All images by the best of one less the best of the other, best first, with the difference's negative."""
    near, far = (dict(brute_force(blocks, rows, 10_000, None)) for rows in (like, unlike))
    return sorted((far[ordinal] - near[ordinal], ordinal) for ordinal in near)


def found(neighbours: Neighbours) -> list[int]:
    """The ordinals of the hits, nearest first."""
    return [hit.ordinal for hit in neighbours.hits]


_coordinates = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 1.0]), min_size=DIM, max_size=DIM)
# Few distinct rows, so that duplicates and ties are the rule.
_row = _coordinates.filter(any).map(unit)
_ordinal = st.one_of(st.integers(0, 12), st.integers(_LAST - 3, _LAST), st.integers(0, _LAST))


@st.composite
def _blocks(draw: st.DrawFn) -> list[Block]:
    """Segments that update each other's images, which have one to three rows."""
    blocks = []
    for _ in range(draw(st.integers(1, 3))):
        ordinals = draw(st.lists(_ordinal, min_size=1, max_size=8, unique=True))
        counts = [draw(st.integers(1, 3)) for _ in ordinals]
        rows = [draw(_row) for _ in range(sum(counts))]
        blocks.append(block(np.stack(rows), np.repeat(np.array(ordinals, dtype=np.uint32), counts)))
    return blocks


class VectorStoreContract:
    """What the docstrings of `hooke.vectors.base` promise."""

    exact = True
    """False for a store that may miss rows of an image set that it does not score whole."""
    examples = 60
    """How many generated searches to try: fewer where each is a dozen requests."""

    def test_what_was_appended_is_read_back(self, store: VectorStore) -> None:
        vectors = random_rows(4)
        reader = store.read([store.append(block(vectors, [7, 7, 3, 9]))])

        assert reader.dim == DIM
        assert reader.ordinals() == BitMap([3, 7, 9])
        assert reader.digests() == {3: 4, 7: 8, 9: 10}
        np.testing.assert_array_equal(reader.vectors_of(7), vectors[:2])
        np.testing.assert_array_equal(reader.vectors_of(3), vectors[2:3])

    def test_rows_come_back_with_where_in_the_image_they_are(self, store: VectorStore) -> None:
        rows, boxes = random_rows(3), [[0, 0, 5, 6], [5, 0, 5, 6], [1, 2, 3, 2**32 - 1]]
        names = [
            store.append(placed(rows, [7, 7, 3], Kind.TILE, boxes)),
            store.append(placed(rows[:2], [7, 9], Kind.CHANNEL, [[4], [0]])),
            store.append(block(rows[:1], [7])),
        ]
        tiles, channels, whole = (store.read(names, kind) for kind in (Kind.TILE, Kind.CHANNEL, Kind.WHOLE))

        np.testing.assert_array_equal(tiles.vectors_of(7), rows[:2])
        assert tiles.places_of(7).tolist() == boxes[:2]
        assert tiles.places_of(3).tolist() == boxes[2:]
        assert channels.places_of(7).tolist() == [[4]]
        assert whole.places_of(7).shape == (1, 0)
        assert (tiles.ordinals(), channels.ordinals(), whole.ordinals()) == (
            BitMap([3, 7]),
            BitMap([7, 9]),
            BitMap([7]),
        )
        assert len(tiles.places_of(4)) == 0

    def test_kinds_are_searched_and_replaced_apart(self, store: VectorStore) -> None:
        rows = np.eye(DIM, dtype=np.float32)
        names = [
            store.append(block(rows[:2], [1, 2])),
            store.append(placed(rows[2:5], [1, 1, 2], Kind.TILE, np.arange(12).reshape(3, 4))),
            store.append(placed(rows[5:6], [1], Kind.TILE, [[9, 9, 9, 9]])),
        ]
        whole, tiles = store.read(names), store.read(names, Kind.TILE)
        assert [(hit.ordinal, hit.similarity) for hit in whole.search(rows[:1], 3).hits] == [(1, 1.0), (2, 0.0)]
        assert [(hit.ordinal, hit.similarity) for hit in tiles.search(rows[4:5], 3).hits] == [(2, 1.0), (1, 0.0)]
        assert tiles.places_of(1).tolist() == [[9, 9, 9, 9]]
        assert store.read(names[:1], Kind.TILE).search(rows[:1], 3).candidates == 0

    @pytest.mark.parametrize(
        ("kind", "places"),
        [(Kind.TILE, [[1, 2, 3]]), (Kind.CHANNEL, []), (Kind.WHOLE, [[1]]), (Kind.TILE, [[0, 0, 1, 1], [0, 0, 1, 1]])],
    )
    def test_rows_without_the_places_of_their_kind_are_refused(
        self, store: VectorStore, kind: Kind, places: list[list[int]]
    ) -> None:
        with pytest.raises(BadInput, match=f"places of {kind} rows"):
            store.append(placed(random_rows(1), [0], kind, places))
        with pytest.raises(BadInput, match="not none"):
            store.append(replace(block(random_rows(1), [0]), kind=Kind.CHANNEL))

    def test_a_segment_whose_name_tells_no_kind_is_refused(self, store: VectorStore) -> None:
        kept = store.append(block(random_rows(1), [0]))
        for name in (kept.partition("-")[2], f"thumb-{kept.partition('-')[2]}"):
            with pytest.raises(CorruptIndex, match="index anew"):
                store.read([kept, name])

    def test_an_image_without_vectors_has_no_rows(self, store: VectorStore) -> None:
        reader = store.read([store.append(block(random_rows(1), [5]))])
        assert reader.vectors_of(4).shape == (0, DIM)

    def test_vectors_of_is_a_copy(self, store: VectorStore) -> None:
        reader = store.read([store.append(block(random_rows(1), [5]))])
        reader.vectors_of(5)[:] = 0
        assert reader.vectors_of(5).any()

    def test_rows_of_several_images_come_by_ordinal(self, store: VectorStore) -> None:
        old, new = random_rows(5), random_rows(3, seed=1)
        reader = store.read([store.append(block(old, [7, 7, 3, 9, 5])), store.append(block(new, [3, 3, 8]))])
        rows, ordinals = reader.matrix(BitMap([3, 4, 7, 8, 9]))
        assert ordinals.tolist() == [3, 3, 7, 7, 8, 9]
        np.testing.assert_array_equal(rows, np.stack([new[0], new[1], old[0], old[1], new[2], old[3]]))
        rows[:] = 0
        assert reader.matrix(BitMap([9]))[0].any()

    def test_no_rows_are_a_matrix_too(self, store: VectorStore) -> None:
        reader = store.read([store.append(block(random_rows(1), [5]))])
        rows, ordinals = reader.matrix(BitMap([4]))
        assert (rows.shape, ordinals.shape) == ((0, DIM), (0,))
        assert store.read([]).matrix(BitMap([5]))[0].shape == (0, 0)

    def test_no_segments_is_an_empty_reader(self, store: VectorStore) -> None:
        reader = store.read([])
        assert (reader.dim, reader.ordinals(), dict(reader.digests())) == (0, BitMap(), {})
        assert reader.search(random_rows(1), 3) == Neighbours((), exact=True, method="gather", candidates=0)
        assert reader.vectors_of(0).shape == (0, 0)

    def test_a_segment_is_unseen_until_it_is_named(self, store: VectorStore) -> None:
        first = store.append(block(random_rows(2), [0, 1]))
        store.append(block(random_rows(2, seed=1), [0, 2]))
        assert store.read([first]).ordinals() == BitMap([0, 1])

    def test_a_later_segment_replaces_all_rows_of_an_image(self, store: VectorStore) -> None:
        old, new = unit([[1] + [0] * 7, [0, 1] + [0] * 6, [0, 0, 1] + [0] * 5]), unit([[0, 0, 0, 1] + [0] * 4])
        segments = [store.append(block(old, [1, 1, 2])), store.append(block(new, [1]))]
        reader = store.read(segments)

        np.testing.assert_array_equal(reader.vectors_of(1), new)
        assert reader.search(old[:1], 2).hits[0].similarity == 0
        assert reader.search(old[:1], 5).candidates == 2

    def test_names_in_another_order_change_which_is_later(self, store: VectorStore) -> None:
        rows = random_rows(2)
        first, second = store.append(block(rows[:1], [1])), store.append(block(rows[1:], [1]))
        np.testing.assert_array_equal(store.read([second, first]).vectors_of(1), rows[:1])

    def test_an_image_is_its_own_nearest(self, store: VectorStore) -> None:
        rows = random_rows(50)
        reader = store.read([store.append(block(rows, range(50)))])
        nearest = reader.search(rows[17:18], 1).hits[0]
        assert nearest.ordinal == 17
        assert nearest.similarity == pytest.approx(1, abs=1e-6)
        assert nearest.similarity <= 1

    def test_k_counts_images_not_rows(self, store: VectorStore) -> None:
        rows = np.concatenate([np.repeat(random_rows(1), 20, axis=0), random_rows(3, seed=1)])
        reader = store.read([store.append(block(rows, [0] * 20 + [1, 2, 3]))])
        assert sorted(found(reader.search(rows[:1], 4))) == [0, 1, 2, 3]

    def test_an_image_scores_by_its_best_row_and_best_query(self, store: VectorStore) -> None:
        rows = np.eye(DIM, dtype=np.float32)
        reader = store.read([store.append(block(rows[:4], [0, 0, 1, 1]))])
        hits = reader.search(rows[[1, 6]], 2).hits
        assert [(hit.ordinal, hit.similarity) for hit in hits] == [(0, 1.0), (1, 0.0)]

    def test_equal_images_come_by_ordinal(self, store: VectorStore) -> None:
        same = np.repeat(random_rows(1), 6, axis=0)
        segments = [store.append(block(same[:3], [9, 2, 5])), store.append(block(same[:3], [4, 8, 1]))]
        assert found(store.read(segments).search(same[:1], 4)) == [1, 2, 4, 5]

    def test_fewer_than_k_come_only_when_fewer_are_allowed(self, store: VectorStore) -> None:
        rows = random_rows(30)
        reader = store.read([store.append(block(rows, range(30)))])
        for allowed in (BitMap(), BitMap([3]), BitMap(range(0, 30, 2)), BitMap([1, 99, _LAST]), None):
            neighbours = reader.search(rows[:1], 10, allowed=allowed)
            expected = 30 if allowed is None else len(allowed & BitMap(range(30)))
            assert neighbours.candidates == expected
            assert len(neighbours.hits) == min(10, expected)

    def test_the_allowed_set_is_left_as_it_was(self, store: VectorStore) -> None:
        reader = store.read([store.append(block(random_rows(3), [1, 2, 3]))])
        allowed = BitMap([2, 50])
        reader.search(random_rows(1), 1, allowed=allowed)
        assert allowed == BitMap([2, 50])

    def test_filtered_search_equals_brute_force(self, store: VectorStore) -> None:
        @settings(max_examples=self.examples, deadline=None)
        @given(
            blocks=_blocks(),
            queries=st.lists(_row, min_size=1, max_size=3).map(np.stack),
            k=st.integers(1, 12),
            allowed=st.none() | st.sets(_ordinal, max_size=10).map(BitMap),
        )
        def holds(blocks: list[Block], queries: Vectors, k: int, allowed: BitMap | None) -> None:
            neighbours = store.read([store.append(each) for each in blocks]).search(queries, k, allowed=allowed)
            expected = brute_force(blocks, queries, k, allowed)

            assert neighbours.exact
            assert found(neighbours) == [ordinal for ordinal, _ in expected]
            assert [hit.similarity for hit in neighbours.hits] == [min(1.0, max(-1.0, score)) for _, score in expected]

        holds()

    @pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 1.0])
    @pytest.mark.parametrize("count", [1, 3])
    def test_every_selectivity_equals_brute_force(self, store: VectorStore, share: float, count: int) -> None:
        """Rows that float32 cannot tell apart: the order must still be that of float64."""
        generator = np.random.default_rng(3)
        centre = random_rows(1, dim=128)
        rows = unit(centre + generator.standard_normal((2000, 128)) * 3e-5)
        written = block(rows, range(10, 2010))
        allowed = BitMap(np.flatnonzero(generator.random(2010) <= share).astype(np.uint32))

        neighbours = store.read([store.append(written)]).search(rows[:count], 10, allowed=allowed)
        expected = brute_force([written], rows[:count], 10, allowed)
        if self.exact or neighbours.exact:
            assert neighbours.exact
            assert found(neighbours) == [ordinal for ordinal, _ in expected]
        else:
            assert len(allowed & BitMap(found(neighbours))) == len(expected)
            similarities = [hit.similarity for hit in neighbours.hits]
            assert similarities == pytest.approx([score for _, score in expected], abs=1e-7)

    def test_what_is_near_to_some_and_away_from_others_equals_brute_force(self, store: VectorStore) -> None:
        @settings(max_examples=self.examples // 2, deadline=None)
        @given(
            blocks=_blocks(),
            like=st.lists(_row, min_size=1, max_size=3).map(np.stack),
            unlike=st.lists(_row, min_size=1, max_size=3).map(np.stack),
        )
        def holds(blocks: list[Block], like: Vectors, unlike: Vectors) -> None:
            found = Contrast(store.read([store.append(each) for each in blocks]), unlike).search(like, 5)
            assert found.exact
            assert [(-hit.similarity, hit.ordinal) for hit in found.hits] == contrasted(blocks, like, unlike)[:5]

        holds()

    @pytest.mark.parametrize("like", [[0], [0, 4], [2, 5]])
    def test_of_many_images_a_search_proposes_those_near_to_some_and_away_from_others(
        self, store: VectorStore, monkeypatch: pytest.MonkeyPatch, like: list[int]
    ) -> None:
        centres = random_rows(6, dim=16, seed=1)
        rows = unit(np.repeat(centres, 500, axis=0) + random_rows(3000, dim=16, seed=2) * 0.6)
        blocks = [block(rows[:2000], np.arange(2000) // 2), block(rows[2000:], range(900, 1900))]
        contrast = Contrast(store.read([store.append(each) for each in blocks]), centres[2:4])
        if like == [0]:
            monkeypatch.setattr(Contrast, "_finalists", None)  # what a search proposes is proved to be enough
        found, expected = contrast.search(centres[like], 10), contrasted(blocks, centres[like], centres[2:4])
        assert found.exact >= self.exact
        if found.exact:
            assert [(-hit.similarity, hit.ordinal) for hit in found.hits] == expected[:10]
        scores = {ordinal: -score for score, ordinal in expected}
        assert all(scores[hit.ordinal] == hit.similarity for hit in found.hits)

    def test_several_threads_get_the_same_answers(self, store: VectorStore) -> None:
        rows = random_rows(3000)
        reader = store.read(
            [store.append(block(rows[:2000], range(2000))), store.append(block(rows[2000:], range(1000)))]
        )

        def answer(number: int) -> Neighbours:
            allowed = None if number % 2 else BitMap(range(0, 2000, 7))
            return reader.search(rows[number : number + 1], 20, allowed=allowed)

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(answer, range(40))) == [answer(number) for number in range(40)]

    def test_a_query_that_cannot_be_asked_is_refused(self, store: VectorStore) -> None:
        reader = store.read([store.append(block(random_rows(2), [0, 1]))])
        with pytest.raises(BadInput, match="k is 0"):
            reader.search(random_rows(1), 0)
        with pytest.raises(BadInput, match="9 values"):
            reader.search(random_rows(1, dim=9), 1)
        with pytest.raises(ZeroVector, match="row 1"):
            reader.search(np.concatenate([random_rows(1), np.zeros((1, DIM), dtype=np.float32)]), 1)
        with pytest.raises(BadInput, match="queries of shape"):
            reader.search(np.empty((0, DIM), dtype=np.float32), 1)
        with pytest.raises(BadInput, match="length"):
            reader.search(random_rows(1) * np.float32(2), 1)

    def test_a_block_that_cannot_be_searched_is_refused(self, store: VectorStore) -> None:
        with pytest.raises(ZeroVector, match="row 1"):
            store.append(block(np.stack([random_rows(1)[0], np.zeros(DIM, dtype=np.float32)]), [0, 1]))
        with pytest.raises(BadInput, match="nan"):
            store.append(block(np.full((1, DIM), np.nan, dtype=np.float32), [0]))
        with pytest.raises(BadInput, match="1 ordinals"):
            store.append(block(random_rows(2), [0]))
        with pytest.raises(BadInput, match="0 vectors"):
            store.append(block(np.empty((0, DIM), dtype=np.float32), []))

    def test_only_named_segments_survive_discarding(self, store: VectorStore) -> None:
        kept, lost = store.append(block(random_rows(1), [0])), store.append(block(random_rows(1), [1]))
        store.discard_except([kept])
        assert store.read([kept]).ordinals() == BitMap([0])
        with pytest.raises(CorruptIndex, match=lost):
            store.read([lost])

    def test_an_open_reader_outlives_discarding(self, store: VectorStore) -> None:
        rows = random_rows(3)
        reader: VectorReader = store.read([store.append(block(rows, [0, 1, 2]))])
        store.discard_except([])
        assert found(reader.search(rows[2:], 1)) == [2]

    def test_size_grows_with_the_rows(self, store: VectorStore) -> None:
        small, large = store.append(block(random_rows(1), [0])), store.append(block(random_rows(100), range(100)))
        assert store.size_bytes([]) == 0
        assert store.size_bytes([small, large]) == store.size_bytes([small]) + store.size_bytes([large])
        assert store.size_bytes([large]) - store.size_bytes([small]) >= 99 * DIM * 4
