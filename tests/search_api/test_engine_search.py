"""What a query finds, and in which order."""

import pytest

from hooke.errors import BadInput, BadQuery, UnknownField, UnknownRecord, UnknownTerm
from hooke.model import Level
from hooke.request import SearchRequest
from hooke.results import SearchResult
from hooke.text import tokens
from search_api.engine import Engine
from tests.search_api.conftest import Search
from tests.small_index import PICTURES, WITHOUT_PIXELS, image_id

MICE = {image_id(name) for name in ("plain.png", "a b.png", "100%.png", "what?.png")}
PEOPLE = {image_id(name) for name in ("tag#1.png", "é ü.png", "deep/er/one.png", "plus+and&.png")}
EVERYTHING = len(PICTURES) + WITHOUT_PIXELS


def ids(result: SearchResult) -> set[str]:
    return {hit.id for hit in result.hits if not hit.id.startswith("lost/")}


def names(*files: str) -> set[str]:
    return set(map(image_id, files))


LIGHT = names("plain.png", "a b.png", "100%.png", "tag#1.png", "é ü.png", "plus+and&.png", "yeast1.png", "yeast2.tif")
FLUORESCENCE = names("plain.png", "a b.png", "tag#1.png", "é ü.png", "plus+and&.png")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("light microscopy", LIGHT),
        ("Light Microscopy", LIGHT),
        ('"light microscopy"', names("100%.png", "yeast1.png", "yeast2.tif")),
        ('"fluorescence microscopy"', names("a b.png", "plus+and&.png")),
        ("fluorescence AND mouse", names("a b.png")),
        ("fluorescence microscopy AND mouse", names("plain.png", "a b.png")),
        ("fluorescence microscopy mouse", names("plain.png", "a b.png")),
        ("electron microscopy OR heart", names("what?.png", "deep/er/one.png", "100%.png", "é ü.png")),
        ("mouse NOT fluorescence microscopy", names("100%.png", "what?.png", "yeast3.jpg")),
        ("mouse -brain", names("100%.png", "what?.png", "yeast3.jpg")),
        ("mouse AND (heart OR electron microscopy)", names("100%.png", "what?.png")),
        ("NOT Mammalia", names("yeast1.png", "yeast2.tif", "words.png", "yeast3.jpg")),
        ("brain", names("plain.png", "a b.png", "tag#1.png")),
        ("cerebral cortex", names("plain.png")),
        ("anatomy:brain", names("plain.png", "a b.png", "tag#1.png")),
        ("organism:brain", set()),
        ("title:light", set()),
        ('anatomy:"brain"', names("a b.png", "tag#1.png")),
        ("mull*", names("é ü.png")),
        ("gene:trp*", names("plain.png", "a b.png")),
        ("muller", names("é ü.png")),
        ("MÜLLER", names("é ü.png")),
        ("size_x:[500 TO 1024]", names("plain.png", "a b.png", "tag#1.png", "yeast1.png", "yeast2.tif")),
        ("size_x:{512 TO 1024]", names("a b.png")),
        ("size_x:>1024", names("what?.png")),
        ("size_x:>=1024 mouse", names("what?.png", "a b.png")),
        ("acquired:[2021-01-01 TO 2021-06-01]", names("plain.png")),
        ("10:30", names("plain.png")),
        ("nucleus: DAPI", names("plain.png", "a b.png")),
        ("nucleus:DAPI", names("plain.png", "a b.png")),
        ("tem", names("what?.png")),
        ("epifluorescence", FLUORESCENCE),
    ],
)
def test_a_query_finds_exactly(search: Search, text: str, found: set[str]) -> None:
    assert ids(search(text)) == found


@pytest.mark.parametrize("text", ["", "  ", "*"])
def test_empty_text_means_everything(search: Search, text: str) -> None:
    assert search(text).total == EVERYTHING


@pytest.mark.parametrize(
    "spelling",
    [
        "NCBITaxon:9606",
        "NCBITaxon_9606",
        "http://purl.obolibrary.org/obo/NCBITaxon_9606",
        "ncbitaxon:9606",
        "NCBI:txid9606",
        "taxonomy:9606",
        "organism:9606",
        "organism:NCBITaxon_9606",
        "organism:human",
    ],
)
def test_an_id_in_any_spelling_finds_its_records(search: Search, spelling: str) -> None:
    assert ids(search(spelling)) == PEOPLE


@pytest.mark.parametrize(
    "spelling", ["FBbi:00000246", "FBbi_00000246", "fbbi:246", "http://purl.obolibrary.org/obo/FBbi_00000246"]
)
def test_an_id_includes_what_is_below_it(search: Search, spelling: str) -> None:
    assert ids(search(spelling)) == FLUORESCENCE
    assert ids(search("", f"imaging_method={spelling}")) == FLUORESCENCE


def test_replaced_and_alternative_ids_are_rewritten_and_shown(search: Search) -> None:
    alternative, replaced = search("NCBITaxon:85055"), search("NCBITaxon:41870")
    assert ids(alternative) == MICE
    assert [(r.given, r.id, r.reason) for r in alternative.query.rewrites] == [
        ("NCBITaxon:85055", "NCBITaxon:10090", "alt_id")
    ]
    assert ids(replaced) == names("yeast1.png", "yeast2.tif")
    assert [(r.given, r.id, r.reason) for r in replaced.query.rewrites] == [
        ("NCBITaxon:41870", "NCBITaxon:4932", "replaced_by")
    ]


def test_terms_to_consider_are_suggested_and_not_searched(search: Search) -> None:
    found = search("NCBITaxon:41871")
    assert found.total == 0
    assert [(s.id, s.label) for s in found.query.suggestions] == [("NCBITaxon:9989", "Rodentia")]


def test_a_misspelt_word_is_suggested_as_records_have_it(search: Search) -> None:
    found = search("flourescence")
    assert found.total == 0
    assert "fluorescence" in {s.label for s in found.query.suggestions if not s.id}


def test_words_and_closure_each_find_what_the_other_does_not(search: Search) -> None:
    study = search("human", level=Level.STUDY)
    assert {hit.id for hit in study.hits} == {"idr9001", "lost", "people"}
    assert ids(search("mouse", expand="none")) == names("a b.png", "100%.png", "yeast3.jpg")
    assert ids(search("mouse")) == MICE | names("yeast3.jpg")


def test_direct_annotations_rank_above_inferred_ones_and_those_above_words(search: Search) -> None:
    kinds = [hit.why[0].kind for hit in search("light microscopy").hits]
    assert kinds == sorted(kinds, key=["direct", "inferred", "text"].index)
    assert {"direct", "inferred"} <= set(kinds)
    mouse = [hit.id for hit in search("mouse").hits]
    assert mouse[-1] == image_id("yeast3.jpg")


def test_not_applies_to_the_expanded_atom(search: Search) -> None:
    everything, light = search("").total, search("light microscopy").total
    assert search("NOT light microscopy").total == everything - light
    assert not ids(search("NOT light microscopy")) & LIGHT


def test_a_phrase_is_never_expanded(search: Search) -> None:
    assert search('"mammals"').total == 0
    assert search("mammals").total > 0
    assert search('"mammals"').query.terms == ()


@pytest.mark.parametrize("text", ["light microscopy", "human brain fluorescence", "mouse", "lost 7", "microscopy"])
def test_without_expansion_exactly_the_records_with_every_word_are_found(
    engine: Engine, search: Search, text: str
) -> None:
    expected = set()
    for hit in search("").hits:
        held = {token for value in engine.detail(Level.IMAGE, hit.id).values for token in tokens(str(value["text"]))}
        if set(tokens(text)) <= held:
            expected.add(hit.id)
    found = search(text, expand="none")
    assert {hit.id for hit in found.hits} == expected
    assert found.total == len(expected)
    assert expected


def test_is_a_alone_leaves_parts_out(search: Search) -> None:
    assert ids(search("brain", expand="is_a")) == names("a b.png", "tag#1.png")
    assert ids(search("brain", expand="is_a,part_of")) == names("plain.png", "a b.png", "tag#1.png")
    assert search("brain", expand="is_a").query.notices == ()


@pytest.mark.parametrize("query", [("brain",), ("anatomy:brain",), ("UBERON:0000955",), ("", "anatomy=brain")])
def test_what_is_below_a_term_can_be_left_out(search: Search, query: tuple[str, ...]) -> None:
    assert ids(search(*query)) == names("plain.png", "a b.png", "tag#1.png")
    found = search(*query, exclude_inferred=True)
    assert ids(found) == names("a b.png", "tag#1.png")
    assert {reason.kind for hit in found.hits for reason in hit.why} <= {"direct", "text", "value"}


def test_what_is_below_a_term_can_be_left_out_of_what_is_excluded(search: Search) -> None:
    kept = ids(search("", without=("anatomy=brain",), exclude_inferred=True))
    assert kept - ids(search("", without=("anatomy=brain",))) == names("plain.png")


@pytest.mark.parametrize("field", ["anatomy", "organism", "imaging_method"])
def test_facets_count_no_narrower_terms_where_these_are_left_out(search: Search, field: str) -> None:
    counted = search("", facets=(field,), exclude_inferred=True).facets[field]
    assert counted
    for value in counted:
        assert (value.count, search("", f"{field}={value.id}", exclude_inferred=True).total) == (
            value.direct_count,
            value.count,
        )


def test_a_relation_that_no_edge_has_is_refused(search: Search) -> None:
    with pytest.raises(BadInput, match=r"no relation 'banana'.*is_a, part_of"):
        search("brain", expand="banana")


def test_an_open_end_after_a_hyphen_is_an_open_last_part(search: Search) -> None:
    assert ids(search("light-mic*")) == ids(search("light AND mic*"))
    assert ids(search("light-mic*"))


def test_a_field_with_any_value_is_no_question(search: Search) -> None:
    with pytest.raises(BadQuery, match="for the facet anatomy"):
        search("anatomy:*", strict=True)
    assert search("anatomy:*").query.notices


def test_signs_before_a_colon_are_no_words(search: Search) -> None:
    assert search("_:zzzq").total == search("zzzq").total == 0
    assert search("NOT _:zzzq").total == EVERYTHING


def test_is_a_alone_on_merged_relations_says_so(search: Search) -> None:
    (notice,) = search("neuron", expand="is_a").query.notices
    assert "cl" in notice
    assert "is_a" in notice
    assert search("neuron").query.notices == ()


def test_a_prefix_has_at_most_400_words(search: Search) -> None:
    assert ids(search("qz00*")) == names("words.png")
    with pytest.raises(BadQuery, match="400") as refused:
        search("qz*")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "text", ["p53 +/-", '"p53', "p53 AND", "(p53", "p53)", "p53 AND AND", "p53 ^^", "year:[1 TO p53", "p53 [", "~ p53"]
)
def test_text_that_does_not_parse_is_searched_as_words_with_a_notice(search: Search, text: str) -> None:
    found = search(text, level=Level.STUDY)
    assert found.query.notices
    with pytest.raises(BadQuery) as refused:
        search(text, level=Level.STUDY, strict=True)
    assert isinstance(refused.value.position, int)
    assert str(refused.value.position) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_words_of_unparsed_text_are_found(search: Search) -> None:
    for text in ("p53 +/-", '"p53', "(p53"):
        assert {hit.id for hit in search(text, level=Level.STUDY).hits} == {"idr9001"}


@pytest.mark.parametrize("text", ['"light microscopy', "(light microscopy", "light microscopy]"])
def test_unparsed_words_still_name_terms(search: Search, text: str) -> None:
    assert ids(search(text)) == LIGHT


def test_lower_case_operators_are_words(search: Search) -> None:
    assert ids(search("microscopy with light")) == names("yeast1.png")


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("organism=NCBITaxon:9606", PEOPLE),
        ("organism=9606", PEOPLE),
        ("organism=taxonomy:9606", PEOPLE),
        ("organism=Homo sapiens", PEOPLE),
        ("organism=human", PEOPLE),
        ("Organism=HUMAN", PEOPLE),
        ("organism=Mammalia", MICE | PEOPLE),
        ("organism=rodents", MICE),
        ("anatomy=brain", names("plain.png", "a b.png", "tag#1.png")),
        ("gene=tp53", names("tag#1.png", "é ü.png")),
        ("gene=TP", set()),
        ("size_x=512", names("plain.png", "tag#1.png", "yeast1.png", "yeast2.tif")),
        ("size_x>=1024", names("a b.png", "what?.png")),
        ("size_x>1024", names("what?.png")),
        ("acquired<=2020-01-01", names("tag#1.png", "é ü.png")),
        ("notes=nucleus DAPI", names("a b.png")),
        ("study=mice", MICE),
    ],
)
def test_a_filter_keeps_exactly(search: Search, condition: str, found: set[str]) -> None:
    assert ids(search("", condition)) == found


def test_values_of_one_field_are_alternatives_and_fields_restrict_each_other(search: Search) -> None:
    both = search("", "anatomy=brain", "anatomy=heart")
    assert ids(both) == names("plain.png", "a b.png", "tag#1.png", "100%.png", "é ü.png")
    assert ids(search("", "anatomy=brain", "anatomy=heart", "organism=human")) == names("tag#1.png", "é ü.png")


def test_not_leaves_out_a_value_with_what_is_below_it(search: Search) -> None:
    assert ids(search("", without=("organism=Mammalia",))) == names(
        "yeast1.png", "yeast2.tif", "yeast3.jpg", "words.png"
    )
    assert ids(search("", "organism=Mammalia", without=("anatomy=brain", "anatomy=heart"))) == names(
        "what?.png", "deep/er/one.png", "plus+and&.png"
    )


def test_an_unknown_field_is_refused_with_near_names(search: Search) -> None:
    with pytest.raises(UnknownField, match=r"organsm.*did you mean organism"):
        search("", "organsm=human")
    with pytest.raises(UnknownField, match=r"organsm.*did you mean organism"):
        search("", facets=("organsm",))


def test_an_unknown_id_is_refused_with_near_ids(search: Search) -> None:
    with pytest.raises(UnknownTerm, match=r"UBERON:00009555.*UBERON:0000955 \(brain\)"):
        search("", "anatomy=UBERON:00009555")


def test_an_unknown_value_is_reported_with_near_terms(search: Search) -> None:
    found = search("", "anatomy=brian")
    assert found.total == 0
    assert found.query.unresolved == ("brian",)
    assert "brain" in {s.label for s in found.query.suggestions}
    assert "Mammalia" in {s.label for s in search("Mamalia").query.suggestions}


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_beyond_10000_is_refused(search: Search, limit: int) -> None:
    with pytest.raises(BadInput, match="10000"):
        search("", limit=limit)


def test_a_limit_of_10000_is_served(search: Search) -> None:
    assert len(search("", limit=10_000).hits) == EVERYTHING


def test_why_names_the_word_or_the_path_to_the_term(search: Search) -> None:
    inferred = next(hit for hit in search("brain").hits if hit.id == image_id("plain.png"))
    (reason,) = inferred.why
    assert (reason.kind, reason.field, reason.value) == ("inferred", "anatomy", "cerebral cortex")
    assert [(s.id, s.relation) for s in reason.path] == [("UBERON:0000956", None), ("UBERON:0000955", "part_of")]
    direct = next(hit for hit in search("brain").hits if hit.id == image_id("a b.png"))
    assert [r.kind for r in direct.why] == ["direct", "text"]


def test_every_hit_of_every_kind_of_query_says_why(search: Search) -> None:
    for text in ("light microscopy", "mouse brain", '"light microscopy"', "mull*", "size_x:[1 TO 600]", "FBbi:246"):
        for hit in search(text).hits:
            assert hit.why, (text, hit.id)
    for condition in ("organism=Mammalia", "gene=tp53", "size_x>=1"):
        for hit in search("", condition).hits:
            assert hit.why, (condition, hit.id)


def test_why_explains_one_record_that_matches_and_one_that_does_not(engine: Engine, search: Search) -> None:
    hit = next(h for h in search("rodents", explain=True).hits if h.id == image_id("plain.png"))
    found = engine.why(hit.id, SearchRequest(text="rodents"))
    assert (found.matches, found.score, found.whole.reasons) == (True, hit.score, hit.why)
    missed = engine.why(image_id("tag#1.png"), SearchRequest(text="rodents"))
    assert (missed.matches, missed.whole.matched, missed.whole.reasons) == (False, False, ())
    with pytest.raises(UnknownRecord, match="nothing"):
        engine.why("nothing", SearchRequest(text="rodents"))


def test_a_field_like_no_other_is_refused_without_guesses(search: Search) -> None:
    with pytest.raises(UnknownField) as refused:
        search("", "qqqq=red")
    assert "did you mean" not in str(refused.value)
