"""The contract of `MetadataStore`: every backend inherits all of it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hooke.errors import BadInput, Conflict, IndexLocked, UnknownRecord
from hooke.fields import UNCOUNTED_FIELDS
from hooke.model import Dataset, Image, Level, Manifest, Mention, Method, Pixels, Study, Unresolved, Value
from hooke.query import (
    Among,
    And,
    Best,
    Equals,
    Everything,
    Node,
    Not,
    Or,
    Order,
    Phrase,
    Position,
    Prefix,
    Query,
    Range,
    SortKey,
    Terms,
    Weighted,
    Words,
)
from hooke.store.base import Hit, MetadataReader, MetadataStore, ValueSet
from hooke.text import fold
from tests.contract.brute_force import BruteForce


def mention(field: str, text: str, term: str, label: str) -> Mention:
    return Mention(field, text, term, label, Method.LABEL, 1.0)


def named_in(field: str, text: str, term: str, label: str) -> Mention:
    return Mention(field, text, term, label, Method.TEXT, 0.7, source="description", start=5)


MOUSE = Value("organism", "Mus musculus", ("10090",), (mention("organism", "Mus musculus", "T:10090", "Mus musculus"),))
HUMAN = Value("organism", "Human", (), (mention("organism", "Human", "T:9606", "Homo sapiens"),))
STUDY = Study(
    "S1",
    "Mitosis in Müller cells",
    (
        MOUSE,
        HUMAN,
        Value("licence", "CC BY 4.0"),
        Value("year", "2020"),
        Value("description", "Light-sheet of mitosis"),
    ),
    (Dataset("A", (MOUSE,)), Dataset("B", (HUMAN, Value("channels", "DAPI"), Value("channels", "GFP")))),
    ("idr",),
)
IMAGES = (
    Image("S1/A/1", "S1", "one", "A", (Value("size_x", "512"),), Pixels("/tmp/1.tif")),
    Image("S1/B/2", "S1", "two", "B", (Value("size_x", "1024"),)),
    Image("S1/B/3", "S1", "three", "B", (MOUSE, Value("size_x", "Not Applicable"), Value("licence", "CC0"))),
)
EVERYTHING = Everything()
ORDERS = tuple(Order(key, descending) for key in SortKey for descending in (False, True))
HIDDEN = Words(frozenset({"hidden"}))


def _sized(**values: str) -> tuple[Value, ...]:
    return tuple(Value(field, text) for field, text in values.items())


SORTED_STUDIES = (
    Study("S1", "Zebra", _sized(release_date="2020-03-03", year="2020", size_bytes="9")),
    Study("S2", "über fish 10", _sized(year="2020", size_bytes="100")),
    Study("S3", "Uber fish 9", (*_sized(release_date="2021-01-01"), Value("release_date", "2019-12-31T10:00"))),
    Study("S4", "???", _sized(size_bytes="1e3", year="n/a")),
    Study("S5", "hidden", _sized(release_date="2018-01-01", size_bytes="5")),
    Study("S6", "(zebra)", (*_sized(size_bytes="3"), Value("size_bytes", "1000"), Value("size_x", "7"))),
    Study("S7", "Étoile 2 " + "x" * 300, _sized(release_date="-5")),
)
SORTED_IMAGES = (
    Image("S1/A10", "S1", "Well A10", values=_sized(size_x="10", size_y="20")),
    Image("S1/A2", "S1", "well a2", values=_sized(size_x="10", size_y="20", size_z="3", size_c="2")),
    Image("S1/A02", "S1", "Well A02", values=_sized(size_x="10", release_date="2022-02-02")),
    Image("S2/1", "S2", "", values=_sized(size_x="2.5", size_y="20", size_t="0")),
    Image("S2/2", "S2", "hidden", values=_sized(size_x="1", size_y="1")),
    Image("S3/1", "S3", "Well B1", values=_sized(year="1999", size_x="many", size_y="9")),
    Image("S4/1", "S4", "Well B1", values=_sized(size_x="10", size_y="20")),
    Image("S6/1", "S6", "12345678901 long", values=_sized(size_x="1e4", size_y="1e4")),
    Image("S6/2", "S6", "9 short", values=_sized(size_y="1e4")),
    Image("S7/1", "S7", "𝒜 and 😀", values=(MOUSE, *_sized(size_x="1", size_y="1"))),
)
"""Equal titles but for case, two dates, half a size, words for numbers, no value at all."""

field_names = st.sampled_from(["title", "description", "keywords", "organism", "licence", "size_x", "gene"])
texts = st.sampled_from(["Mus musculus", "mus  MUSCULUS", "17", "2.5", "light sheet", "Light-sheet tif", "a b a", "é"])
terms = st.sampled_from(["T:1", "T:2", "T:3"])
mentions = st.lists(
    st.builds(
        lambda make, *parts: make(*parts),
        st.sampled_from([mention, mention, named_in]),
        *(st.sampled_from(["organism", "gene"]), texts, terms, st.just("label")),
    ),
    max_size=2,
).map(tuple)
values = st.lists(
    st.builds(Value, field_names, texts, st.sampled_from([(), ("id:1",)]), mentions, st.booleans()), max_size=4
).map(tuple)
datasets = st.lists(st.builds(Dataset, st.sampled_from(["A", "B"]), values), max_size=2, unique_by=lambda d: d.name)
studies = st.builds(Study, st.sampled_from(["S1", "S2"]), texts, values, datasets.map(tuple))
images = st.sampled_from(["S1", "S2"]).flatmap(
    lambda study: st.builds(
        Image,
        st.sampled_from([f"{study}/{n}" for n in range(4)]),
        st.just(study),
        texts,
        st.sampled_from([None, "A", "B"]),
        values,
    )
)
words = st.sampled_from(["mus", "musculus", "17", "2", "light", "sheet", "tif", "a", "b", "e", "absent", "s1", "label"])
maybe_field = st.none() | field_names | st.just("nowhere")
leaves: st.SearchStrategy[Node] = st.one_of(
    st.just(EVERYTHING),
    st.builds(Words, st.frozensets(words, min_size=1, max_size=2), maybe_field, st.booleans()),
    st.builds(Phrase, st.lists(words, max_size=3).map(tuple), maybe_field, st.booleans()),
    st.builds(Terms, st.frozensets(terms, max_size=2), maybe_field),
    st.builds(Equals, field_names, texts),
    st.builds(Range, field_names, st.sampled_from([None, 2.0, 17.0]), st.sampled_from([None, 17.0, 20.0])),
)
nodes: st.SearchStrategy[Node] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
        st.builds(Best, st.lists(st.builds(Weighted, inner, st.sampled_from([1.0, 2.0])), max_size=2).map(tuple)),
    ),
    max_leaves=5,
)
changes = st.one_of(
    studies,
    images,
    st.tuples(st.just(Level.STUDY), st.sampled_from(["S1", "S2"])),
    st.tuples(st.just(Level.IMAGE), st.sampled_from(["S1/0", "S1/1", "S2/0"])),
    st.just("commit"),
)


class StoreContract:
    """Inherit this with a fixture `store`, a new, empty store for each test, and a method that opens more of them."""

    def new_store(self) -> AbstractContextManager[MetadataStore]:
        raise NotImplementedError

    @pytest.fixture
    def filled(self, store: MetadataStore) -> MetadataStore:
        with store.write() as writer:
            writer.put_studies([STUDY])
            writer.put_images(IMAGES)
            writer.commit(Manifest("v1", ("seg",), "space"))
        return store

    @pytest.fixture
    def reader(self, filled: MetadataStore) -> Iterator[MetadataReader]:
        with filled.read() as reader:
            yield reader

    def test_a_new_store_is_snapshot_0_and_holds_nothing(self, store: MetadataStore) -> None:
        with store.read() as reader:
            assert (reader.snapshot.id, reader.count(Level.STUDY), reader.count(Level.IMAGE)) == (0, 0, 0)
            assert reader.search(Query(Level.IMAGE, EVERYTHING)).hits == ()
            assert reader.value_sets(Level.STUDY, "organism") == ()
            assert [len(counts) for counts in reader.count_sets(Level.STUDY, ["organism"], EVERYTHING)] == [0]

    def test_a_commit_publishes_its_manifest(self, reader: MetadataReader) -> None:
        assert reader.snapshot.manifest == Manifest("v1", ("seg",), "space")
        assert reader.snapshot.id > 0

    def test_what_is_not_committed_is_not_seen_and_then_gone(self, filled: MetadataStore) -> None:
        with filled.write() as writer:
            writer.put_studies([Study("S2", "unseen")])
            with filled.read() as reader:
                assert reader.count(Level.STUDY) == 1
        with filled.read() as reader:
            assert reader.count(Level.STUDY) == 1
            assert reader.ordinals(Level.STUDY, Words(frozenset({"unseen"}))) == BitMap()

    def test_an_open_reader_keeps_its_snapshot_while_another_is_committed(self, filled: MetadataStore) -> None:
        with filled.read() as before:
            first = before.snapshot
            with filled.write() as writer:
                writer.put_studies([Study("S2", "later")])
                writer.commit(Manifest("v2"))
            assert before.count(Level.STUDY) == 1
            assert before.search(Query(Level.STUDY, Words(frozenset({"later"})))).total == 0
            assert before.snapshot == first
        with filled.read() as after:
            assert after.count(Level.STUDY) == 2
            assert after.snapshot.id > first.id

    def test_there_is_one_writer(self, filled: MetadataStore) -> None:
        with filled.write(), pytest.raises(IndexLocked, match="another indexer"), filled.write():
            pass

    def test_a_record_comes_back_as_it_was_put(self, reader: MetadataReader) -> None:
        record = reader.get(Level.IMAGE, "S1/A/1")
        assert (record.title, record.dataset, record.study_id, record.origins) == ("one", "A", "S1", ("idr",))
        assert record.pixels == Pixels("/tmp/1.tif")
        assert Value("size_x", "512") in record.values
        study = reader.get(Level.STUDY, "S1")
        assert study.values[-len(STUDY.values) :] == STUDY.values

    def test_an_image_inherits_what_it_is_silent_on(self, reader: MetadataReader) -> None:
        first, second, third = (reader.get(Level.IMAGE, image.id) for image in IMAGES)
        assert {m.term for m in first.mentions} == {"T:10090"}
        assert {m.term for m in second.mentions} == {"T:9606"}
        assert {m.term for m in third.mentions} == {"T:10090"}
        assert {v.text for v in third.values if v.field == "licence"} == {"CC0"}
        assert reader.ordinals(Level.IMAGE, Phrase(("light", "sheet"))) == BitMap(
            [first.ordinal, second.ordinal, third.ordinal]
        )

    def test_what_prose_names_comes_back_with_its_place_and_yields_to_a_submitter(self, filled: MetadataStore) -> None:
        brain = Value("anatomy", "brain", (), (named_in("anatomy", "brain", "T:955", "brain"),))
        rat = Value("organism", "rat", (), (named_in("organism", "rat", "T:10116", "Rattus"),))
        with filled.write() as writer:
            writer.put_studies([replace(STUDY, values=(*STUDY.values, brain, rat))])
            writer.commit(Manifest())
        with filled.read() as reader:
            assert {brain, rat} <= set(reader.get(Level.STUDY, "S1").values)
            image = reader.get(Level.IMAGE, "S1/A/1")
            assert brain in image.values
            assert rat not in image.values
            assert reader.count(Level.IMAGE, Terms(frozenset({"T:955"}), "anatomy")) == 3
            assert reader.count(Level.IMAGE, Terms(frozenset({"T:10116"}))) == 0

    def test_an_unknown_id_is_unknown_record(self, reader: MetadataReader) -> None:
        with pytest.raises(UnknownRecord, match="S9"):
            reader.get(Level.STUDY, "S9")

    def test_an_image_needs_its_study(self, store: MetadataStore) -> None:
        with store.write() as writer, pytest.raises(UnknownRecord, match="S7"):
            writer.put_images([Image("S7/1", "S7", "orphan")])

    def test_records_come_in_the_order_asked_without_those_gone(self, reader: MetadataReader) -> None:
        ordinals = [reader.get(Level.IMAGE, image.id).ordinal for image in reversed(IMAGES)]
        assert [r.ordinal for r in reader.records(Level.IMAGE, [*ordinals, 999_999])] == ordinals

    def test_words_meet_accents_case_and_hyphens(self, reader: MetadataReader) -> None:
        for word in ("muller", "mitosis", "sheet"):
            assert len(reader.ordinals(Level.STUDY, Words(frozenset({word})))) == 1, word

    def test_a_phrase_stays_within_one_value(self, reader: MetadataReader) -> None:
        assert len(reader.ordinals(Level.STUDY, Phrase(("mitosis", "in")))) == 1
        assert len(reader.ordinals(Level.STUDY, Phrase(("cells", "light")))) == 0

    def test_inherited_prose_is_passed_over_where_the_query_says_so(self, filled: MetadataStore) -> None:
        """What an image says itself is found in any field, and what it inherits in fields that are no prose."""
        told = (Value("description", "Kidney cells"), Value("keywords", "kidney"), Value("gene", "kidney injury"))
        images = (
            Image("S2/1", "S2", "Kidney cells"),
            Image("S2/2", "S2", "i", values=(Value("keywords", "kidney cells"), Value("gene", "p53"))),
            Image("S2/3", "S2", "i", values=(Value("gene", "p53"),)),
        )
        with filled.write() as writer:
            writer.put_studies([Study("S2", "Kidney cells", told)])
            writer.put_images(images)
            writer.commit(Manifest())
        with filled.read() as reader:
            for make in (_word, Phrase):
                assert _found(reader, make(("kidney",))) == {"S2/1", "S2/2", "S2/3"}
                assert _found(reader, make(("kidney",), None, inherited_prose=False)) == {"S2/1", "S2/2"}
                assert _found(reader, make(("kidney",), "title", inherited_prose=False)) == {"S2/1"}
                assert _found(reader, make(("kidney",), "keywords", inherited_prose=False)) == {"S2/2"}
                assert _found(reader, make(("kidney",), "description", inherited_prose=False)) == set()
                assert _found(reader, make(("kidney",), "gene", inherited_prose=False)) == {"S2/1"}
            assert _found(reader, Phrase(("kidney", "cells"))) == {"S2/1", "S2/2", "S2/3"}
            assert _found(reader, Phrase(("kidney", "cells"), None, inherited_prose=False)) == {"S2/1", "S2/2"}
            assert _found(reader, Phrase(("kidney", "injury"), None, inherited_prose=False)) == {"S2/1"}
            assert reader.count(Level.STUDY, Words(frozenset({"kidney"}), None, inherited_prose=False)) == 1
            assert reader.count(Level.STUDY, Phrase(("kidney", "cells"), "title", inherited_prose=False)) == 1
            assert reader.get(Level.IMAGE, "S2/3").inherited == len(told)  # all but the gene, and the title

    def test_a_range_compares_numbers_and_leaves_words_out(self, reader: MetadataReader) -> None:
        assert len(reader.ordinals(Level.IMAGE, Range("size_x", low=512))) == 2
        assert len(reader.ordinals(Level.IMAGE, Range("size_x", low=512, include_low=False))) == 1
        assert len(reader.ordinals(Level.IMAGE, Range("size_x", high=9))) == 0

    def test_equality_ignores_case_and_spacing(self, reader: MetadataReader) -> None:
        assert len(reader.ordinals(Level.STUDY, Equals("licence", "cc  by 4.0"))) == 1
        assert len(reader.ordinals(Level.STUDY, Equals("licence", "CC BY"))) == 0
        assert len(reader.ordinals(Level.STUDY, Equals("organism", "human"))) == 1

    def test_the_better_option_ranks_higher_and_ties_go_by_ordinal(self, reader: MetadataReader) -> None:
        best = Best((Weighted(EVERYTHING, 1.0), Weighted(Words(frozenset({"three"})), 5.0)))
        page = reader.search(Query(Level.IMAGE, best))
        ids = [r.id for r in reader.records(Level.IMAGE, [hit.ordinal for hit in page.hits])]
        assert ids == ["S1/B/3", "S1/A/1", "S1/B/2"]
        assert page.hits[0].score > page.hits[1].score == page.hits[2].score

    def test_pages_join_into_the_whole_result(self, reader: MetadataReader) -> None:
        best = Best((Weighted(EVERYTHING, 1.0), Weighted(Words(frozenset({"two"})), 2.0)))
        whole = reader.search(Query(Level.IMAGE, best, limit=10))
        after: Position | None = None
        joined: list[Hit] = []
        for _ in range(3):
            page = reader.search(Query(Level.IMAGE, best, limit=1, after=after))
            assert page.total == 3
            joined.extend(page.hits)
            after = page.after
        assert tuple(joined) == whole.hits
        assert after is None
        assert whole.after is None

    @pytest.mark.parametrize("size", [1, 4, 100])
    def test_sorted_pages_join_into_all_hits_in_order(self, store: MetadataStore, size: int) -> None:
        model = BruteForce()
        model.studies = {study.id: study for study in SORTED_STUDIES}
        model.images = {image.id: image for image in SORTED_IMAGES}
        with store.write() as writer:
            writer.put_studies(SORTED_STUDIES)
            writer.put_images(SORTED_IMAGES)
            writer.commit(Manifest())
        with store.read() as reader:
            for level, order in product(Level, ORDERS):
                assert pages(reader, level, Not(HIDDEN), order, size) == in_order(reader, model, level, order), order

    def test_the_order_follows_what_a_record_and_its_study_become(self, store: MetadataStore) -> None:
        newest, biggest = Order(SortKey.DATE, descending=True), Order(SortKey.SIZE, descending=True)
        older = Study("S2", "older", (Value("release_date", "2019-01-01"),))
        with store.write() as writer:
            writer.put_studies([Study("S1", "newer", (Value("release_date", "2020-01-01"),)), older])
            writer.put_images([Image("S1/1", "S1", "one"), Image("S2/2", "S2", "two")])
            writer.commit(Manifest())
        with store.read() as reader:
            assert pages(reader, Level.IMAGE, EVERYTHING, newest, 1) == ["S1/1", "S2/2"]
        sizes = (Value("size_x", "10"), Value("size_y", "10"))
        with store.write() as writer:
            writer.put_studies([replace(older, values=(Value("release_date", "2021-01-01"),))])
            writer.put_images([Image("S2/2", "S2", "two", values=sizes)])
            writer.commit(Manifest())
        with store.read() as reader:
            assert pages(reader, Level.STUDY, EVERYTHING, newest, 1) == ["S2", "S1"]
            assert pages(reader, Level.IMAGE, EVERYTHING, newest, 1) == ["S2/2", "S1/1"]
            assert pages(reader, Level.IMAGE, EVERYTHING, biggest, 1) == ["S2/2", "S1/1"]

    def test_a_position_that_no_record_has_is_bad_input(self, reader: MetadataReader) -> None:
        with pytest.raises(BadInput, match="999"):
            reader.search(Query(Level.IMAGE, EVERYTHING, 1, Position(0, 999), Order(SortKey.TITLE)))

    def test_a_limit_below_1_is_bad_input(self, reader: MetadataReader) -> None:
        with pytest.raises(BadInput, match="limit"):
            reader.search(Query(Level.IMAGE, EVERYTHING, limit=0))

    def test_a_node_that_only_text_can_say_is_refused(self, reader: MetadataReader) -> None:
        with pytest.raises(BadInput, match="Prefix"):
            reader.search(Query(Level.IMAGE, Prefix("mito")))

    def test_counts_are_per_set_of_values(self, reader: MetadataReader) -> None:
        assert counted(reader, Level.IMAGE, "channels", EVERYTHING) == {
            ValueSet(frozenset(), frozenset({"dapi", "gfp"})): 2
        }
        assert counted(reader, Level.STUDY, "organism", EVERYTHING) == {
            ValueSet(frozenset({"T:9606", "T:10090"}), frozenset()): 1
        }

    def test_terms_have_labels_and_values_their_first_spelling(self, reader: MetadataReader) -> None:
        assert reader.labels(Level.IMAGE, "organism") == {"T:9606": "Homo sapiens", "T:10090": "Mus musculus"}
        assert {v for s in reader.value_sets(Level.IMAGE, "licence") for v in s.values} == {"CC BY 4.0", "CC0"}
        assert reader.terms_in_use(Level.STUDY) == {"T:9606", "T:10090"}
        assert reader.terms_in_use(Level.STUDY, "phenotype") == frozenset()

    def test_a_value_is_spelt_as_where_it_first_stood_for_itself(self, store: MetadataStore) -> None:
        grounded = Value("strain", "C57BL/6J", (), (mention("strain", "C57BL/6J", "T:1", "C57BL/6J"),))
        with store.write() as writer:
            writer.put_studies(
                [Study("S1", "with a term", (grounded,)), Study("S2", "", (Value("strain", "c57Bl/6j"),))]
            )
            writer.commit(Manifest())
        with store.read() as reader:
            assert {v for held in reader.value_sets(Level.STUDY, "strain") for v in held.values} == {"c57Bl/6j"}

    def test_a_study_spells_a_value_before_its_datasets_and_those_before_another_study(
        self, store: MetadataStore
    ) -> None:
        licences = [Value("licence", text) for text in ("CC BY", "cc by", "cc0", "CC0")]
        with store.write() as writer:
            writer.put_studies([Study("S1", "one", (licences[0],), (Dataset("A", tuple(licences[1:3])),))])
            writer.put_studies([Study("S2", "two", (licences[3],))])
            writer.commit(Manifest())
        with store.read() as reader:
            [counts] = reader.count_sets(Level.STUDY, ["licence"], EVERYTHING)
            pairs = zip(reader.value_sets(Level.STUDY, "licence"), counts.tolist(), strict=True)
            assert {value: count for held, count in pairs for value in held.values if count} == {"CC BY": 1, "cc0": 1}

    @pytest.mark.parametrize(
        "text",
        [
            "NUL\0 word",
            "\x01\x1f\x7f\u2028\x85 word",
            "𝒜🧬 word",
            "word " + "x" * 40_000,
            "word É " * 6_000,
            "",
            " \t ",
        ],
        ids=["NUL", "controls", "astral", "long word", "long text", "empty", "blank"],
    )
    def test_odd_texts_are_kept_whole_and_found(self, store: MetadataStore, text: str) -> None:
        odd = (Value("description", text), Value("gene", text, (text,), (mention("drug", text, "T:1", text),)))
        study = Study("S1", text, odd, (Dataset("A", (Value("treatment", text),)),))
        image = Image("S1/1", "S1", text, "A", (Value("strain", text),))
        with store.write() as writer:
            writer.put_studies([study])
            writer.put_images([image])
            assert writer.refused() == ()
            writer.commit(Manifest())
        with store.read() as reader:
            assert reader.studies(["S1"]) == (study,)
            assert [stored.record for stored in reader.stored(Level.IMAGE)] == [image]
            for field in ("description", "gene", "treatment", "strain"):
                assert reader.count(Level.IMAGE, Equals(field, text)) == 1, field
            assert reader.count(Level.IMAGE, Words(frozenset({"word"}))) == ("word" in text)
            assert [held.values for held in reader.value_sets(Level.IMAGE, "strain")] == [{text}]

    def test_a_value_with_a_dragged_id_comes_back_so(self, store: MetadataStore) -> None:
        typed = Value("organism", "Mus musculus", ("BTO:11",))
        counted_up = replace(typed, dragged=True)
        images = tuple(
            Image(f"S1/{number}", "S1", "well", values=(value,)) for number, value in enumerate((counted_up, typed) * 2)
        )
        for batch in (images[:2], images[2:]):  # each by a writer of its own
            with store.write() as writer:
                writer.put_studies([Study("S1", "plate")])
                writer.put_images(batch)
                writer.commit(Manifest())
        with self.new_store() as other:
            copy_all(store, other)
            for each in (store, other):
                with each.read() as reader:
                    assert [stored.record for stored in reader.stored(Level.IMAGE)] == list(images)
                    records = reader.records(Level.IMAGE, list(reader.ordinals(Level.IMAGE, EVERYTHING)))
                    assert [[v.dragged for v in r.values if v.field == "organism"] for r in records] == [
                        [True],
                        [False],
                    ] * 2
                    assert reader.count(Level.IMAGE, Equals("organism", "mus musculus")) == 4

    def test_several_fields_are_counted_at_once(self, reader: MetadataReader) -> None:
        fields = ["channels", "nowhere", "organism"]
        together = reader.count_sets(Level.IMAGE, fields, EVERYTHING)
        assert [counts.tolist() for counts in together] == [
            reader.count_sets(Level.IMAGE, [field], EVERYTHING)[0].tolist() for field in fields
        ]

    def test_the_sets_of_each_study_are_told_once(self, filled: MetadataStore) -> None:
        """Own values, values of the study that its images are silent on, and two images with one set."""
        with filled.write() as writer:
            writer.put_studies([Study("S2", "two", (Value("gene", "TP53"), Value("licence", "CC0")))])
            writer.put_images([Image(f"S2/{n}", "S2", "i", None, (HUMAN,)) for n in range(3)])
            writer.commit(Manifest())
        human, mouse = (ValueSet(frozenset({term}), frozenset()) for term in ("T:9606", "T:10090"))
        plain = {text: ValueSet(frozenset(), frozenset({text})) for text in ("cc by 4.0", "cc0", "tp53")}
        with filled.read() as reader:
            everyone = {("S1", human), ("S1", mouse), ("S2", human)}
            assert sets_of_studies(reader, "organism", EVERYTHING) == everyone
            assert sets_of_studies(reader, "organism", Equals("licence", "CC0")) == everyone - {("S1", human)}
            licences = {("S1", plain["cc by 4.0"]), ("S1", plain["cc0"]), ("S2", plain["cc0"])}
            assert sets_of_studies(reader, "licence", EVERYTHING) == licences
            assert sets_of_studies(reader, "gene", EVERYTHING) == {("S2", plain["tp53"])}
            assert sets_of_studies(reader, "nowhere", EVERYTHING) == set()

    def test_matches_are_counted(self, reader: MetadataReader) -> None:
        assert reader.count(Level.IMAGE, Words(frozenset({"mitosis"}))) == 3
        assert reader.count(Level.IMAGE, Words(frozenset({"one"}))) == 1
        assert reader.count(Level.STUDY, Words(frozenset({"absent"}))) == 0

    def test_what_only_deleted_records_had_is_listed_no_more(self, filled: MetadataStore) -> None:
        with filled.write() as writer:
            writer.delete(Level.IMAGE, ["S1/B/2", "S1/B/3"])
            writer.commit(Manifest())
        with filled.read() as reader:
            assert reader.tokens(Level.IMAGE, "t", field="title") == ()
            assert "channels" not in reader.fields(Level.IMAGE)
            assert reader.fields(Level.IMAGE)["size_x"].records == 1

    def test_another_store_is_filled_from_what_is_stored(self, filled: MetadataStore) -> None:
        odd = Unresolved("organism", "unicorn", ("X:1",), "unknown_id", ("T:1",))
        with filled.write() as writer:
            writer.put_studies([Study("S2", "gone"), Study("S3", "empty")])
            writer.put_images([Image("S2/1", "S2", "gone too"), Image("S1/4", "S1", "four", "A")], part="p")
            writer.delete(Level.STUDY, ["S2"])
            writer.delete(Level.IMAGE, ["S1/B/2"])
            writer.put_unresolved("p", {odd: 3})
            writer.mark_part("p", "digest")
            writer.commit(Manifest())
        with self.new_store() as other:
            copy_all(filled, other)
            assert contents(other) == contents(filled)
            with other.read() as reader:
                assert len(reader.ordinals(Level.IMAGE, Words(frozenset({"mitosis"})))) == 3
                assert reader.image_ids("p") == {"S1/4"}
                assert (reader.parts(), reader.unresolved()) == ({"p": "digest"}, ((odd, 3),))
            with filled.read() as reader:
                before = {s.id: s.ordinal for s in reader.stored(Level.IMAGE)}
            with other.write() as writer:
                writer.put_images([IMAGES[1], Image("S1/5", "S1", "five")])
                writer.commit(Manifest())
            with other.read() as reader:
                assert reader.get(Level.IMAGE, "S1/B/2").ordinal == before["S1/B/2"]
                assert reader.get(Level.IMAGE, "S1/5").ordinal == max(before.values()) + 1

    def test_only_an_empty_store_is_filled(self, filled: MetadataStore) -> None:
        with filled.read() as reader, filled.write() as writer, pytest.raises(Conflict, match="already"):
            writer.restore(Level.STUDY, reader.stored(Level.STUDY))

    def test_tokens_are_listed_by_prefix_field_and_limit(self, reader: MetadataReader) -> None:
        assert reader.tokens(Level.STUDY, "m") == ("mitosis", "muller", "mus", "musculus")
        assert reader.tokens(Level.STUDY, "m", field="organism") == ("mus", "musculus")
        assert reader.tokens(Level.STUDY, "m", limit=2) == ("mitosis", "muller")
        assert reader.tokens(Level.STUDY, "m", field="nowhere") == ()

    def test_tokens_of_fields_are_counted_and_none_is_missed(self, reader: MetadataReader) -> None:
        for level in Level:
            fields = [*reader.fields(level), "nowhere"]
            there = {name: len(reader.tokens(level, "", field=name, limit=1_000)) for name in fields}
            counted = reader.token_counts(level, fields, 1_000)
            assert counted.keys() == there.keys()
            assert all(there[name] <= counted[name] <= 2 * there[name] for name in fields)

    def test_fields_are_listed_with_their_records(self, reader: MetadataReader) -> None:
        fields = reader.fields(Level.IMAGE)
        assert fields["size_x"].records == 3
        assert fields["channels"].records == 2
        assert "year" in fields
        assert "description" in fields

    def test_levels_are_joined_both_ways(self, reader: MetadataReader) -> None:
        images = BitMap(reader.get(Level.IMAGE, image.id).ordinal for image in IMAGES)
        study = BitMap([reader.get(Level.STUDY, "S1").ordinal])
        assert reader.study_ordinals(BitMap([images[0]])) == study
        assert reader.image_ordinals(study) == images
        assert reader.owners(images).tolist() == [study[0]] * len(images)

    def test_each_image_has_its_study(self, store: MetadataStore) -> None:
        with store.write() as writer:
            writer.put_studies([Study("A", "a"), Study("B", "b"), Study("C", "c")])
            writer.put_images([Image(f"{study}/{number}", study, "") for number, study in enumerate("CABBAC")])
            writer.commit(Manifest())
        with store.read() as reader:
            study = {name: reader.get(Level.STUDY, name).ordinal for name in "ABC"}
            some = [reader.get(Level.IMAGE, name) for name in ("B/2", "C/0", "A/4")]
            owners = reader.owners(BitMap(image.ordinal for image in some))
            assert owners.tolist() == [study[i.study_id] for i in sorted(some, key=lambda image: image.ordinal)]
            assert reader.owners(BitMap()).tolist() == []

    def test_studies_come_back_as_they_were_put(self, reader: MetadataReader) -> None:
        assert reader.studies(["S1", "S9"]) == (STUDY,)

    def test_images_with_pixels_are_listed(self, reader: MetadataReader) -> None:
        assert [path for _, path in reader.images_with_pixels()] == ["/tmp/1.tif"]

    def test_a_set_of_ordinals_is_a_filter(self, reader: MetadataReader) -> None:
        ordinal = reader.get(Level.IMAGE, "S1/B/2").ordinal
        among = Among(frozenset({ordinal, 4_000_000_000}))
        assert reader.ordinals(Level.IMAGE, among) == BitMap([ordinal])
        assert sum(counted(reader, Level.IMAGE, "size_x", among).values()) == 1

    def test_an_update_keeps_the_ordinal_and_replaces_all_else(self, filled: MetadataStore) -> None:
        with filled.read() as reader:
            before = reader.get(Level.IMAGE, "S1/B/2").ordinal
        with filled.write() as writer:
            writer.put_images([Image("S1/B/2", "S1", "renamed", "A", (Value("size_x", "7"),))])
            writer.commit(Manifest())
        with filled.read() as reader:
            record = reader.get(Level.IMAGE, "S1/B/2")
            assert (record.ordinal, record.title) == (before, "renamed")
            assert before not in reader.ordinals(Level.IMAGE, Words(frozenset({"two"})))
            assert before not in reader.ordinals(Level.IMAGE, Range("size_x", low=1000))
            assert before in reader.ordinals(Level.IMAGE, Terms(frozenset({"T:10090"})))

    def test_a_changed_study_changes_what_its_images_inherit(self, filled: MetadataStore) -> None:
        with filled.write() as writer:
            writer.put_studies([Study("S1", "Renamed", (Value("licence", "CC0"),))])
            writer.commit(Manifest())
        with filled.read() as reader:
            assert len(reader.ordinals(Level.IMAGE, Words(frozenset({"renamed"})))) == 3
            assert len(reader.ordinals(Level.IMAGE, Words(frozenset({"muller"})))) == 0
            assert counted(reader, Level.IMAGE, "licence", EVERYTHING) == {ValueSet(frozenset(), frozenset({"cc0"})): 3}

    def test_a_deleted_study_takes_its_images_along(self, filled: MetadataStore) -> None:
        with filled.write() as writer:
            assert writer.delete(Level.STUDY, ["S1", "S9"]) == 1
            writer.commit(Manifest())
        with filled.read() as reader:
            assert (reader.count(Level.STUDY), reader.count(Level.IMAGE)) == (0, 0)
            assert reader.search(Query(Level.IMAGE, Not(Words(frozenset({"absent"}))))).total == 0
            with pytest.raises(UnknownRecord):
                reader.get(Level.IMAGE, "S1/A/1")

    def test_a_deleted_image_comes_back_under_its_ordinal(self, filled: MetadataStore) -> None:
        with filled.read() as reader:
            before = reader.get(Level.IMAGE, "S1/A/1").ordinal
        with filled.write() as writer:
            writer.delete(Level.IMAGE, ["S1/A/1"])
            writer.commit(Manifest())
            writer.put_images([Image("S1/A/9", "S1", "new"), IMAGES[0]])
            writer.commit(Manifest())
        with filled.read() as reader:
            assert reader.get(Level.IMAGE, "S1/A/1").ordinal == before
            assert reader.get(Level.IMAGE, "S1/A/9").ordinal != before

    def test_a_record_that_returns_has_nothing_left_of_its_former_study(self, filled: MetadataStore) -> None:
        with filled.write() as writer:
            writer.delete(Level.STUDY, ["S1"])
            writer.put_studies([Study("S1", "Anew")])
            writer.put_images([Image("S1/A/1", "S1", "again")])
            writer.commit(Manifest())
        with filled.read() as reader:
            assert len(reader.ordinals(Level.IMAGE, Words(frozenset({"mitosis"})))) == 0
            assert counted(reader, Level.IMAGE, "licence", EVERYTHING) == {}

    def test_images_are_known_by_the_input_they_last_came_from(self, store: MetadataStore) -> None:
        with store.write() as writer:
            writer.put_studies([Study("S", "study")])
            writer.put_images([Image("S/1", "S", "1"), Image("S/2", "S", "2"), Image("S/3", "S", "3")], part="a")
            writer.put_images([Image("S/2", "S", "2")], part="b")
            writer.delete(Level.IMAGE, ["S/3"])
            writer.commit(Manifest())
        with store.read() as reader:
            assert reader.image_ids("a") == {"S/1"}
            assert reader.image_ids("b") == {"S/2"}
            assert reader.image_ids("c") == frozenset()

    def test_the_worklist_is_summed_over_inputs_and_replaced_by_input(self, store: MetadataStore) -> None:
        odd = Unresolved("organism", "unicorn", ("X:1",), "unknown_id", ("T:1",))
        with store.write() as writer:
            writer.put_unresolved("a", {odd: 3})
            writer.put_unresolved("b", {odd: 2, Unresolved("organism", "yeti", (), "no_term"): 1})
            writer.put_unresolved("a", {odd: 1})
            writer.mark_part("a", "digest")
            writer.commit(Manifest())
        with store.read() as reader:
            assert reader.unresolved()[0] == (odd, 3)
            assert reader.unresolved_count() == 2
            assert len(reader.unresolved(limit=1)) == 1
            assert reader.part_digest("a") == "digest"
            assert reader.part_digest("b") is None

    def test_a_conflict_is_in_the_worklist_and_is_not_unresolved(self, store: MetadataStore) -> None:
        conflict = Unresolved("organism", "mouse", ("X:1",), "id_label_conflict", ("T:1", "X:1"))
        with store.write() as writer:
            writer.put_unresolved("a", {conflict: 3, Unresolved("organism", "yeti", (), "no_term"): 1})
            writer.commit(Manifest())
        with store.read() as reader:
            assert reader.unresolved()[0] == (conflict, 3)
            assert reader.unresolved_count() == 1

    def test_mentions_are_counted_by_method(self, reader: MetadataReader) -> None:
        assert reader.mention_counts() == {"label": 3}

    @settings(
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors], deadline=None, max_examples=60
    )
    @given(script=st.lists(changes, max_size=12), asked=st.lists(nodes, min_size=1, max_size=4))
    def test_it_answers_as_brute_force_does_after_any_changes(self, script: list[object], asked: list[Node]) -> None:
        with self.new_store() as store:
            model = play(store, script)
            with store.read() as reader:
                for level, node in product(Level, asked):
                    assert_same(reader, model, level, node)


def _word(tokens: tuple[str, ...], field: str | None = None, inherited_prose: bool = True) -> Words:
    return Words(frozenset(tokens), field, inherited_prose)


def _found(reader: MetadataReader, node: Node) -> set[str]:
    return {record.id for record in reader.records(Level.IMAGE, list(reader.ordinals(Level.IMAGE, node)))}


def copy_all(source: MetadataStore, target: MetadataStore) -> None:
    with source.read() as reader, target.write() as writer:
        for level in (Level.STUDY, Level.IMAGE):
            writer.restore(level, reader.stored(level))
        for part, digest in reader.parts().items():
            writer.mark_part(part, digest)
        for part, unresolved in reader.worklists():
            writer.put_unresolved(part, unresolved)
        writer.commit(reader.snapshot.manifest)


def contents(store: MetadataStore) -> list[object]:
    with store.read() as reader:
        return [
            [list(reader.stored(level)) for level in Level],
            reader.snapshot.manifest,
            reader.parts(),
            list(reader.worklists()),
        ]


def play(store: MetadataStore, script: list[object]) -> BruteForce:
    model = BruteForce()
    with store.write() as writer:
        for change in script:
            match change:
                case Study():
                    writer.put_studies([change])
                    model.studies[change.id] = change
                case Image() if change.study_id in model.studies:
                    writer.put_images([change])
                    model.images[change.id] = change
                case (Level() as level, str() as gone):
                    writer.delete(level, [gone])
                    model.delete(level, [gone])
                case "commit":
                    writer.commit(Manifest())
        writer.commit(Manifest())
    return model


def assert_same(reader: MetadataReader, model: BruteForce, level: Level, node: Node) -> None:
    page = reader.search(Query(level, node, limit=100))
    found = {r.id for r in reader.records(level, [hit.ordinal for hit in page.hits])}
    assert found == model.match(level, node)
    assert page.total == len(found)
    order = [(-hit.score, hit.ordinal) for hit in page.hits]
    assert all(a < b for a, b in pairwise(order))
    for field in ("organism", "licence", "gene", "size_x"):
        assert counted(reader, level, field, node) == model.counts(level, field, node)
        if level is Level.IMAGE:
            assert sets_of_studies(reader, field, node) == model.study_sets(field, node)


def pages(reader: MetadataReader, level: Level, where: Node, order: Order, size: int) -> list[str]:
    """The ids of all hits, page by page."""
    ids: list[str] = []
    after: Position | None = None
    while True:
        page = reader.search(Query(level, where, size, after, order))
        ids += [record.id for record in reader.records(level, [hit.ordinal for hit in page.hits])]
        after = page.after
        if after is None:
            assert len(ids) == page.total
            return ids


def in_order(reader: MetadataReader, model: BruteForce, level: Level, order: Order) -> list[str]:
    """What is not hidden, sorted by looking at each record."""
    ids = sorted(model.match(level, Not(HIDDEN)), key=lambda key: reader.get(level, key).ordinal)
    missing = [key for key in ids if model.place(level, key, order)[0]]
    known = [key for key in ids if key not in missing]
    # stable also when reversed: ties go by ordinal in either direction
    known.sort(key=lambda key: model.place(level, key, order)[1], reverse=order.descending)  # type: ignore[arg-type, return-value]  # numbers, or texts
    return [*known, *missing]


def counted(reader: MetadataReader, level: Level, field: str, where: Node) -> Counter[ValueSet]:
    assert field not in UNCOUNTED_FIELDS
    sets = reader.value_sets(level, field)
    [counts] = reader.count_sets(level, [field], where)
    folded = Counter[ValueSet]()
    for held, count in zip(sets, counts.tolist(), strict=True):
        folded[ValueSet(held.terms, frozenset(map(fold, held.values)))] += count
    return Counter({held: count for held, count in folded.items() if count})


def sets_of_studies(reader: MetadataReader, field: str, where: Node) -> set[tuple[str, ValueSet]]:
    sets = reader.value_sets(Level.IMAGE, field)
    studies, held = (found.tolist() for found in reader.study_sets(field, where))
    named = {record.ordinal: record.id for record in reader.records(Level.STUDY, sorted(set(studies)))}
    assert len(set(zip(studies, held, strict=True))) == len(studies)
    return {
        (named[study], ValueSet(sets[index].terms, frozenset(map(fold, sets[index].values))))
        for study, index in zip(studies, held, strict=True)
    }
