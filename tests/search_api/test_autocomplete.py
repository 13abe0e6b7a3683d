"""Autocomplete: what is suggested for which text, held against searching for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hooke.errors import BadInput, UnknownField
from hooke.model import Level
from hooke.request import CompletionRequest, SearchRequest
from hooke.results import Completion, CompletionResult
from hooke.text import located, tokens
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine
from tests.search_api.conftest import Search
from tests.small_index import write_ontologies

Complete = Callable[..., CompletionResult]
TYPED = (
    *("m", "mou", "mouse", "mammal", "house mo", "light", "light mi", "microscopy", "epifl", "TEM", "a", "b", "s"),
    *(
        "brain",
        "cortex",
        "cell",
        "nerve c",
        "trp",
        "CDC28",
        "cc",
        "2020",
        "idr",
        "people",
        "lost",
        "nucleus d",
        "yeast",
    ),
)
hostile = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def complete(engine: Engine) -> Complete:
    def ask(text: str, level: Level = Level.IMAGE, field: str | None = None, limit: int = 10) -> CompletionResult:
        return engine.complete(CompletionRequest(text, level, field, limit))

    return ask


def texts(result: CompletionResult) -> list[str]:
    return [each.text for each in result.completions]


def has_word_that_starts_so(name: str, typed: str) -> bool:
    """Whether the typed words stand in a name, the last one perhaps unfinished, from the start of some word."""
    words = tokens(name)
    return any(" ".join(words[start:]).startswith(" ".join(tokens(typed))) for start in range(len(words)))


@pytest.mark.parametrize(
    ("text", "term", "name", "scope"),
    [
        ("light mi", "FBbi:00000345", "light microscopy", "LABEL"),
        ("LIGHT-Mi", "FBbi:00000345", "light microscopy", "LABEL"),
        ("epifl", "FBbi:00000246", "epifluorescence", "EXACT"),
        ("house m", "NCBITaxon:10090", "house mouse", "EXACT"),
        ("rodents", "NCBITaxon:9989", "rodents", "EXACT"),
        ("cortex", "UBERON:0000956", "cerebral cortex", "LABEL"),
        ("cérebral", "UBERON:0000956", "cerebral cortex", "LABEL"),
    ],
)
def test_a_term_is_suggested_by_any_of_its_names(
    complete: Complete, text: str, term: str, name: str, scope: str
) -> None:
    first = complete(text).completions[0]
    assert (first.kind, first.id, first.name, first.scope) == ("term", term, name, scope)


def test_a_term_says_how_many_records_have_it_and_in_which_fields(complete: Complete) -> None:
    brain = complete("brain").completions[0]
    assert brain == Completion(
        "term", "brain", "UBERON:0000955", "brain", "brain", "LABEL", count=3, fields=("anatomy",)
    )


def test_only_terms_that_a_record_has_or_has_below_it_are_suggested(complete: Complete) -> None:
    assert "organ" in texts(complete("organ"))
    assert texts(complete("obsolete")) == []
    assert texts(complete("Eukaryota", Level.STUDY)) == ["Eukaryota"]


def test_whole_names_come_first_then_names_that_begin_so_then_words_inside(complete: Complete) -> None:
    found = texts(complete("microscopy", limit=100))
    assert set(found) >= {"light microscopy", "electron microscopy", "confocal microscopy"}
    found = texts(complete("fl", limit=100))
    assert found[0] == "fluorescence microscopy"
    found = texts(complete("mouse", limit=100))
    assert found[0] == "Mus musculus"
    found = texts(complete("electron", limit=100))
    assert found[:2] == ["electron microscopy", "transmission electron microscopy"]


def test_names_that_match_alike_come_by_how_many_records_have_them(complete: Complete) -> None:
    counts = [each.count for each in complete("microscopy", limit=100).completions if each.kind == "term"]
    assert counts == sorted(counts, key=lambda count: -(count or 0))


@pytest.mark.parametrize(
    ("text", "replaces", "first"),
    [
        ("mouse li", (6, 8), "light microscopy"),
        ("mouse light mi", (6, 14), "light microscopy"),
        ("🐁 AND (brai", (7, 11), "brain"),
        ("organism:hous", (9, 13), "Mus musculus"),
        ('"Mu\u0308ller" cereb', (10, 15), "cerebral cortex"),
        ("brain ", (0, 5), "brain"),
    ],
)
def test_the_last_words_are_completed_and_the_result_says_which_part(
    complete: Complete, text: str, replaces: tuple[int, int], first: str
) -> None:
    found = complete(text)
    assert found.replaces == replaces
    assert found.completions[0].text == first


def test_a_space_ends_the_last_word(complete: Complete) -> None:
    assert "Mammalia" in texts(complete("mammal"))
    assert texts(complete("mammal ")) == []
    assert texts(complete("light ")) == ["light", "light microscopy"]


def test_studies_are_suggested_by_their_id(complete: Complete) -> None:
    for text in ("idr9", "IDR9001", "idr"):
        found = {each.id: each for each in complete(text).completions if each.kind == "record"}
        assert found["idr9001"].label == "Kinesins at the spindle of p53 mutants"
    assert [(each.kind, each.fields) for each in complete("people", Level.STUDY).completions] == [("record", ())]


def test_values_are_suggested_by_their_start_with_their_count(complete: Complete) -> None:
    assert complete("cdc").completions == (
        Completion("value", "CDC28", "CDC28", "CDC28", "CDC28", count=2, fields=("gene",)),
    )
    assert texts(complete("cc by", Level.STUDY)) == ["CC-BY-4.0"]
    assert all(each.kind != "value" for each in complete("dapi").completions)


def test_numbers_are_completed_where_a_field_is_asked_for(complete: Complete) -> None:
    assert texts(complete("51")) == []
    assert complete("51", field="size_x").completions[0].count == 4
    assert texts(complete("202", Level.STUDY, field="year")) == ["2020"]


def test_a_field_leaves_only_what_it_has(complete: Complete) -> None:
    assert {each.fields for each in complete("m", field="organism").completions} == {("organism",)}
    assert complete("m", field="Organism").completions == complete("m", field="organism").completions
    assert texts(complete("idr", field="organism")) == []
    assert texts(complete("brain", field="organism")) == []


def test_a_field_that_is_unknown_or_prose_is_refused(complete: Complete) -> None:
    with pytest.raises(UnknownField, match="organism"):
        complete("m", field="organsm")
    with pytest.raises(BadInput, match="title"):
        complete("m", field="title")


@pytest.mark.parametrize(
    ("level", "field"),
    # genes are the images' alone
    [*product(Level, (None, "organism", "imaging_method")), (Level.IMAGE, "gene")],
)
def test_every_count_is_what_a_search_for_it_finds(
    complete: Complete, search: Search, level: Level, field: str | None
) -> None:
    seen = {
        (each.kind, each.id, each.fields): each
        for text in TYPED
        for each in complete(text, level, field, 100).completions
    }
    counted = [each for each in seen.values() if each.kind != "record"]
    for each in counted:
        if each.kind == "term":
            assert (
                search("" if field else each.id, *([f"{field}={each.id}"] if field else []), level=level).total
                == each.count
            )
        else:
            assert search("", f"{each.fields[0]}={each.id}", level=level).total == each.count, each
    assert counted


def test_the_text_of_a_term_searched_for_finds_all_its_records(complete: Complete, search: Search) -> None:
    terms = {each.id: each for text in TYPED for each in complete(text, limit=100).completions if each.kind == "term"}
    assert len(terms) > 10
    for each in terms.values():
        assert search(each.text).total >= (each.count or 0), each


@hostile
@given(typed=st.sampled_from(TYPED), cut=st.integers(0, 4), level=st.sampled_from(list(Level)), limit=st.integers(1, 6))
def test_every_suggestion_has_a_word_that_starts_with_the_text(
    complete: Complete, typed: str, cut: int, level: Level, limit: int
) -> None:
    text = typed[: len(typed) - cut] or typed
    found = complete(text, level, limit=limit)
    assert len(found.completions) <= limit
    start, end = found.replaces
    assert all(has_word_that_starts_so(each.name, text[start:end]) for each in found.completions)
    assert len({(each.kind, each.id, each.fields) for each in found.completions}) == len(found.completions)


@hostile
@given(text=st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("mouse .*[]()\\^$+?{}|/🐁 ")), max_size=60))
def test_no_text_is_too_odd_to_complete(complete: Complete, text: str) -> None:
    found = complete(text)
    start, end = found.replaces
    assert 0 <= start <= end <= len(text)
    assert all(has_word_that_starts_so(each.name, text[start:end]) for each in found.completions)


@pytest.mark.parametrize("text", ["", " ", "\t\n ", "🐁", ".*", "^$", "\\", "%", "___", "\x00", "\u0308"])
def test_a_text_without_words_has_no_completions(complete: Complete, text: str) -> None:
    assert complete(text).completions == ()
    assert complete(text).replaces == (len(text), len(text))


def test_too_long_a_text_or_half_a_character_is_refused(complete: Complete) -> None:
    assert complete("x" * 500).completions == ()
    assert texts(complete("a " * 247 + "brain"))[0] == "brain"
    with pytest.raises(BadInput, match="500 characters"):
        complete("m" * 10_000)
    with pytest.raises(BadInput, match="Unicode"):
        complete("\ud800")


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_out_of_bounds_is_refused(complete: Complete, limit: int) -> None:
    with pytest.raises(BadInput, match="1 to 100"):
        complete("m", limit=limit)


@given(text=st.text(max_size=40))
def test_located_words_are_the_analysers_tokens_each_in_its_place(text: str) -> None:
    words = located(text)
    assert tuple(word for word, _, _ in words) == tokens(text)
    assert all(0 <= start < end <= len(text) for _, start, end in words)
    assert all(word in " ".join(tokens(text[start:end])) for word, start, end in words)


def test_a_label_that_reads_as_syntax_is_completed_by_its_id(tmp_path: Path) -> None:
    folder, ontology = tmp_path / "methods", tmp_path / "fbbi.obo"
    folder.mkdir()
    (folder / "manifest.tsv").write_text("path\timaging_method\na.png\tFBbi:00000332\n")
    term = "[Term]\nid: FBbi:00000332\nname: structured illumination microscopy (SIM)\n"
    ontology.write_text(f"format-version: 1.2\nontology: fbbi\n\n{term}")
    run(IndexJob((folder,), tmp_path / "index", None, (str(ontology),)))
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        found = engine.complete(CompletionRequest("sim", Level.IMAGE)).completions[0]
        assert (found.text, found.label) == ("FBbi:00000332", "structured illumination microscopy (SIM)")
        assert engine.search(SearchRequest(Level.IMAGE, found.text)).total == found.count == 1


@pytest.mark.parametrize(
    ("replaced_by", "text"),
    [("", ["FBbi:00000001"]), ("replaced_by: FBbi:00000003\n", [])],
    ids=["dead", "replaced: its id is another's"],
)
def test_a_dead_term_above_one_in_use_is_completed_by_what_finds_it(
    tmp_path: Path, replaced_by: str, text: list[str]
) -> None:
    folder, ontology = tmp_path / "methods", tmp_path / "fbbi.obo"
    folder.mkdir()
    (folder / "manifest.tsv").write_text("path\timaging_method\na.png\tFBbi:00000002\n")
    ontology.write_text(
        "format-version: 1.2\nontology: fbbi\n\n"
        f"[Term]\nid: FBbi:00000001\nname: obsolete_method\nis_obsolete: true\n{replaced_by}\n"
        "[Term]\nid: FBbi:00000002\nname: light microscopy\nis_a: FBbi:00000001\n\n"
        "[Term]\nid: FBbi:00000003\nname: another\n"
    )
    run(IndexJob((folder,), tmp_path / "index", None, (str(ontology),)))
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        found = engine.complete(CompletionRequest("obsolete", Level.IMAGE)).completions
        assert [each.text for each in found] == text
        assert [engine.search(SearchRequest(Level.IMAGE, each.text)).total for each in found] == [1] * len(text)


def test_prose_that_a_search_of_images_passes_over_is_suggested_of_studies_only(tmp_path: Path) -> None:
    folder = tmp_path / "screen"
    folder.mkdir()
    (folder / "manifest.tsv").write_text("path\tgene\na.png\tLamin\n")
    (folder / "hooke.toml").write_text('[study]\nid = "screen"\nsample_description = "Lamin screen on breast tissue"\n')
    run(IndexJob((folder,), tmp_path / "index", None, write_ontologies(tmp_path)))
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        found = {level: texts(engine.complete(CompletionRequest("lamin", level))) for level in Level}
        assert found == {Level.STUDY: ["Lamin screen on breast tissue"], Level.IMAGE: ["Lamin"]}
        asked = engine.complete(CompletionRequest("lamin", Level.IMAGE, "sample_description"))
        assert texts(asked) == ["Lamin screen on breast tissue"]


@pytest.fixture
def brains(tmp_path: Path) -> Iterator[tuple[Engine, Path]]:
    """Two images of brains, one of which says so in two fields."""
    folder = tmp_path / "brains"
    folder.mkdir()
    rows = ("path\ttitle\tanatomy\tdevelopmental_stage", "a.png\tA\tbrain\tbrain", "b.png\tB\tcerebral cortex\t")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    run(IndexJob((folder,), tmp_path / "index", None, write_ontologies(tmp_path)))
    with closing(Engine(tmp_path / "index", EmbedderChoice())) as engine:
        yield engine, tmp_path


def test_a_record_with_a_term_in_two_fields_counts_once(brains: tuple[Engine, Path]) -> None:
    engine, _ = brains
    found = engine.complete(CompletionRequest("brain", Level.IMAGE)).completions[0]
    assert (found.count, found.fields) == (2, ("anatomy", "developmental_stage"))
    assert engine.search(SearchRequest(Level.IMAGE, found.id)).total == 2
    narrow = engine.complete(CompletionRequest("brain", Level.IMAGE, "developmental_stage")).completions[0]
    assert (narrow.count, narrow.fields) == (1, ("developmental_stage",))


def test_a_new_snapshot_is_completed_from(brains: tuple[Engine, Path]) -> None:
    engine, root = brains
    before = engine.complete(CompletionRequest("heart", Level.IMAGE))
    hearts = root / "hearts"
    hearts.mkdir()
    (hearts / "manifest.tsv").write_text("path\ttitle\tanatomy\nc.png\tC\theart\n")
    run(IndexJob((hearts,), root / "index"))

    after = engine.complete(CompletionRequest("heart", Level.IMAGE))

    assert before.completions == ()
    assert [(each.kind, each.id) for each in after.completions] == [("term", "UBERON:0000948"), ("record", "hearts")]
    assert after.snapshot > before.snapshot


def test_while_one_thread_takes_in_a_new_snapshot_the_others_are_answered_from_the_last(
    brains: tuple[Engine, Path],
) -> None:
    engine, root = brains
    request = CompletionRequest("brain", Level.IMAGE)
    before = engine.complete(request)
    hearts = root / "hearts"
    hearts.mkdir()
    (hearts / "manifest.tsv").write_text("path\ttitle\tanatomy\nc.png\tC\theart\n")
    run(IndexJob((hearts,), root / "index"))

    with engine._completer._making:
        meanwhile = engine.complete(request)

    assert meanwhile == before
    assert engine.complete(request).snapshot > before.snapshot


def test_threads_that_ask_first_at_the_same_time_get_the_same(brains: tuple[Engine, Path]) -> None:
    engine, _ = brains
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: engine.complete(CompletionRequest("b", Level.IMAGE)), range(32)))
    assert len(found) == 1
