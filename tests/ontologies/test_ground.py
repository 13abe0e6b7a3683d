from contextlib import closing
from pathlib import Path

import pytest

from hooke.model import Mention, Method, Unresolved, Value
from ontologies.catalogue import Catalogue
from ontologies.ground import ground
from tests.ontologies.samples import catalogue_of, obo

BRAIN, LIVER, HUMAN = "UBERON:0000955", "UBERON:0002107", "NCBITaxon:9606"


def _mentions(catalogue: Catalogue, field: str, text: str, *ids: str) -> list[tuple[str, float, str | None]]:
    mentions, unresolved = ground(Value(field, text, ids), catalogue)
    assert unresolved == ()
    return [(mention.term, mention.score, mention.note) for mention in mentions]


def _unresolved(catalogue: Catalogue, field: str, text: str, *ids: str) -> Unresolved:
    mentions, unresolved = ground(Value(field, text, ids), catalogue)
    assert (mentions, len(unresolved)) == ((), 1)
    return unresolved[0]


def test_an_id_that_agrees_with_its_text_is_certain(catalogue: Catalogue) -> None:
    mentions, _ = ground(Value("organism", "Homo sapiens", ("NCBITaxon_9606",)), catalogue)
    label = "Homo sapiens"
    assert mentions == (Mention("organism", label, HUMAN, label, Method.ID, 1.0, "NCBITaxon_9606"),)


@pytest.mark.parametrize("text", ["", "human", "H. sapiens", "homo-sapiens", "9606", "n/a"])
def test_any_name_of_the_term_agrees_with_its_id(catalogue: Catalogue, text: str) -> None:
    assert _mentions(catalogue, "organism", text, "9606") == [(HUMAN, 1.0, None)]


def test_an_id_under_another_name_is_trusted_a_little_less(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "organism", "patient 12", HUMAN) == [(HUMAN, 0.9, "label_differs")]


def test_an_id_whose_text_names_another_term_is_kept_beside_that_term(catalogue: Catalogue) -> None:
    mentions, unresolved = ground(Value("organism", "Mus musculus", ("NCBITaxon:9606",)), catalogue)
    note = "id_label_conflict"
    assert unresolved == ()
    assert mentions == (
        Mention(
            "organism", "Mus musculus", "NCBITaxon:10090", "Mus musculus", Method.LABEL, 0.95, "NCBITaxon:9606", note
        ),
    )


def test_a_drag_filled_cell_line_id_does_not_replace_the_cell_line(catalogue: Catalogue) -> None:
    found = _mentions(catalogue, "cell_line", "HeLa", "EFO_0001200")
    assert found == [("EFO:0001185", 0.95, "id_label_conflict")]


def test_a_broader_id_is_no_conflict(catalogue: Catalogue) -> None:
    found = _mentions(catalogue, "organism", "Homo sapiens", "NCBITaxon:40674")
    assert found == [(HUMAN, 0.95, None), ("NCBITaxon:40674", 0.9, "label_differs")]


def test_one_thing_in_two_ontologies_is_no_conflict(catalogue: Catalogue) -> None:
    found = _mentions(catalogue, "cell_line", "HeLa", "CLO_0003684")
    assert found == [("EFO:0001185", 0.95, None), ("CLO:0003684", 0.9, "label_differs")]


def test_a_rewritten_id_says_what_it_was(catalogue: Catalogue) -> None:
    mentions, _ = ground(Value("anatomy", "old brain", ("UBERON:0009001",)), catalogue)
    text = "old brain"
    assert mentions == (Mention("anatomy", text, BRAIN, "brain", Method.ID, 1.0, "UBERON:0009001", "replaced_by"),)


@pytest.mark.parametrize(
    "cell",
    [
        "UBERON:0000955;UBERON:0002107",
        "UBERON_0000955|UBERON_0002107",
        "UBERON:955, UBERON:2107",
        "UBERON:955 UBERON:2107",
    ],
)
def test_two_ids_in_one_cell_are_two_mentions(catalogue: Catalogue, cell: str) -> None:
    assert _mentions(catalogue, "anatomy", "", cell) == [(BRAIN, 1.0, None), (LIVER, 1.0, None)]
    assert _mentions(catalogue, "anatomy", "brain; liver", cell) == [(BRAIN, 1.0, None), (LIVER, 1.0, None)]


def test_an_id_with_a_space_is_one_id(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "organism", "", "NCBITaxon 9606") == [(HUMAN, 1.0, None)]


def test_the_text_may_be_the_id(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "imaging_method", "FBbi_00000246") == [("FBbi:00000246", 1.0, None)]


@pytest.mark.parametrize(
    ("text", "method", "score"),
    [
        ("brain", Method.LABEL, 0.95),
        ("encephalon", Method.EXACT_SYNONYM, 0.90),
        ("the brain", Method.OTHER_SYNONYM, 0.75),
        ("brains", Method.NORMALISED, 0.70),
        ("encephalons", Method.NORMALISED, 0.65),
    ],
)
def test_text_is_grounded_with_its_method_and_score(
    catalogue: Catalogue, text: str, method: Method, score: float
) -> None:
    mentions, _ = ground(Value("anatomy", text), catalogue)
    assert mentions == (Mention("anatomy", text, BRAIN, "brain", method, score),)


def test_only_the_ontologies_of_the_field_count(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "anatomy", "nucleus") == [("UBERON:0010000", 0.9, None)]
    assert _mentions(catalogue, "cellular_component", "nucleus") == [("GO:0005634", 0.95, None)]


def test_several_values_in_one_text_count_only_if_all_are_names(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "anatomy", "brain; liver") == [(BRAIN, 0.95, None), (LIVER, 0.95, None)]
    assert _unresolved(catalogue, "anatomy", "brain; sample 3").reason == "no_term"


def test_two_equally_good_terms_of_one_ontology_are_ambiguous(catalogue: Catalogue) -> None:
    found = _unresolved(catalogue, "cell_line", "twin")
    assert (found.reason, found.candidates) == ("ambiguous", ("EFO:0000100", "EFO:0000101"))


def test_an_unknown_id_is_reported_unless_its_text_has_a_term(catalogue: Catalogue) -> None:
    assert _unresolved(catalogue, "organism", "", "NCBITaxon:424242").reason == "unknown_id"
    assert _mentions(catalogue, "anatomy", "brain", "T-1234") == [(BRAIN, 0.95, "unknown_id")]


def test_an_unknown_id_of_the_ontology_that_has_the_text_for_a_name_is_in_conflict(catalogue: Catalogue) -> None:
    mentions, unresolved = ground(Value("organism", "human", ("NCBITaxon:424242",)), catalogue)
    assert unresolved == ()
    given = [(mention.term, mention.given_id, mention.note) for mention in mentions]
    assert given == [(HUMAN, "NCBITaxon:424242", "id_label_conflict")]


@pytest.mark.parametrize("text", ["Drosophila melanogaster Canton-S", "Drosophila melanogaster subsp. nova"])
def test_a_strain_that_no_ontology_has_is_its_species(catalogue: Catalogue, text: str) -> None:
    (found,), unresolved = ground(Value("organism", text, ("NCBITaxon:424242",)), catalogue)
    assert unresolved == ()
    assert (found.term, found.method, found.score) == ("NCBITaxon:7227", Method.NORMALISED, 0.6)
    assert (found.given_id, found.note) == ("NCBITaxon:424242", "broader_taxon")


@pytest.mark.parametrize(
    "text", ["Mus musculus x Mus spretus", "Mammalia Linnaeus 1758", "Mouse monoclonal", "Rosa canina"]
)
def test_a_cross_a_genus_with_its_author_and_other_words_are_no_strain(catalogue: Catalogue, text: str) -> None:
    assert _unresolved(catalogue, "organism", text).reason == "no_term"


def test_an_unknown_id_beside_a_spelling_is_no_conflict(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "organism", "H. sapiens", "NCBITaxon:424242") == [(HUMAN, 0.6, "unknown_id")]


@pytest.mark.parametrize(
    ("field", "text", "term"),
    [
        ("cell_line", "HeLa cells", "EFO:0001185"),
        ("cell_line", "HeLa cell line", "EFO:0001185"),
        ("cell_line", "MCF10A cells", "EFO:0001200"),
        ("imaging_method", "fluorescence microscope", "FBbi:00000246"),
        ("imaging_method", "fluorescence", "FBbi:00000246"),
        ("anatomy", "brain (left half)", BRAIN),
    ],
)
def test_a_value_is_read_with_and_without_the_noun_of_its_field(
    catalogue: Catalogue, field: str, text: str, term: str
) -> None:
    ((found, score, note),) = _mentions(catalogue, field, text)
    assert (found, note) == (term, None)
    assert score <= 0.65


def test_words_before_the_noun_are_no_cell_line(tmp_path: Path) -> None:
    frames = "[Term]\nid: CVCL:0001\nname: Stem\n\n[Term]\nid: CVCL:0002\nname: T\n"
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        assert _unresolved(catalogue, "cell_line", "stem cells").reason == "no_term"
        assert _unresolved(catalogue, "cell_line", "T cells").reason == "no_term"


def test_an_id_at_the_end_of_the_text_is_the_submitters_id(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "anatomy", "brain (UBERON:0000955)") == [(BRAIN, 1.0, None)]
    assert _mentions(catalogue, "anatomy", "brain (UBERON_0000955)") == [(BRAIN, 1.0, None)]
    conflict = _mentions(catalogue, "anatomy", "brain (UBERON:0002107)")
    assert conflict == [(BRAIN, 0.95, "id_label_conflict")]


def test_an_id_of_one_part_of_a_text_is_no_conflict_with_the_others(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "anatomy", "brain; liver", "UBERON:0002107") == [
        (BRAIN, 0.95, None),
        (LIVER, 0.9, "label_differs"),
    ]


def test_ids_in_the_parts_of_a_text_do_not_swallow_the_other_parts(catalogue: Catalogue) -> None:
    both = [(BRAIN, 0.95, None), (LIVER, 0.95, None)]
    assert _mentions(catalogue, "anatomy", "brain (UBERON:0000955); liver (UBERON:0002107)") == both
    assert _mentions(catalogue, "anatomy", "brain, liver (UBERON:0002107)") == both


@pytest.mark.parametrize(
    "text",
    [
        "brain (absent)",
        "brain (not used)",
        "brain (negative control)",
        "brain (UBERON:9999999)",
        "brain(II)",
    ],
)
def test_a_parenthesis_that_denies_or_names_something_else_is_not_dropped(catalogue: Catalogue, text: str) -> None:
    assert _unresolved(catalogue, "anatomy", text).reason == "no_term"


def test_a_name_with_a_parenthesis_is_not_taken_for_the_name_before_it(tmp_path: Path) -> None:
    frames = "[Term]\nid: CHEBI:1\nname: copper\n\n[Term]\nid: CHEBI:2\nname: copper(2+)\n"
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        ((found, _, _),) = _mentions(catalogue, "compound", "copper (2+)")
    assert found == "CHEBI:2"


def test_spaces_without_end_are_read_at_once(catalogue: Catalogue) -> None:
    assert _unresolved(catalogue, "cell_line", "H" + " " * 2_000_000 + "x").reason == "no_term"


def test_a_quality_is_no_part_of_a_specimen(tmp_path: Path) -> None:
    with closing(catalogue_of(tmp_path, obo(tmp_path, "[Term]\nid: PATO:0000462\nname: absent\n"))) as catalogue:
        assert _unresolved(catalogue, "disease", "absent").reason == "no_term"
        assert _mentions(catalogue, "phenotype", "absent") == [("PATO:0000462", 0.95, None)]


def test_a_general_organ_by_its_synonym_wins_over_one_animals_organ_by_its_label(tmp_path: Path) -> None:
    frames = (
        '[Term]\nid: UBERON:0001135\nname: smooth muscle tissue\nsynonym: "smooth muscle" EXACT []\n\n'
        "[Term]\nid: WBbt:0005781\nname: smooth muscle\n"
    )
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        assert _mentions(catalogue, "anatomy", "smooth muscle") == [("UBERON:0001135", 0.9, None)]


def test_of_equal_names_the_term_above_the_others_is_meant(tmp_path: Path) -> None:
    frames = (
        '[Term]\nid: NCBITaxon:7215\nname: Drosophila <genus>\nsynonym: "Drosophila" EXACT []\n\n'
        '[Term]\nid: NCBITaxon:32281\nname: Drosophila <subgenus>\nsynonym: "Drosophila" EXACT []\n'
        "is_a: NCBITaxon:7215\n"
    )
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        assert _mentions(catalogue, "organism", "Drosophila") == [("NCBITaxon:7215", 0.9, None)]


def test_the_label_of_a_term_of_another_field_is_found_where_the_own_ontologies_have_none(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "phenotype", "liver") == [(LIVER, 0.8, None)]
    assert _unresolved(catalogue, "phenotype", "encephalon").reason == "no_term"
    assert _unresolved(catalogue, "organism", "liver").reason == "no_term"
    assert _unresolved(catalogue, "compound", "liver").reason == "no_term"
    assert _unresolved(catalogue, "phenotype", "Homo sapiens").reason == "no_term"


def test_an_abbreviation_in_a_label_is_a_name_of_its_own(tmp_path: Path) -> None:
    frames = "[Term]\nid: FBbi:00000258\nname: transmission electron microscopy (TEM)\n"
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        for text in ("TEM", "transmission electron microscopy", "transmission electron microscope"):
            ((term, _, note),) = _mentions(catalogue, "imaging_method", text)
            assert (term, note) == ("FBbi:00000258", None)
        assert _mentions(catalogue, "imaging_method", "TEM", "FBbi:00000258") == [("FBbi:00000258", 1.0, None)]


@pytest.mark.parametrize("text", ["Not Applicable", "NA", "-", "none", "unknown", "# leave blank", ""])
def test_what_says_nothing_is_neither_grounded_nor_unresolved(catalogue: Catalogue, text: str) -> None:
    assert ground(Value("organism", text), catalogue) == ((), ())
    assert ground(Value("organism", text, (text,)), catalogue) == ((), ())


def test_a_misspelling_is_not_guessed(catalogue: Catalogue) -> None:
    assert _unresolved(catalogue, "imaging_method", "flourescence microscopy").reason == "no_term"


def test_other_fields_are_grounded_by_their_ids_only(catalogue: Catalogue) -> None:
    assert _mentions(catalogue, "antibody_target", "something", "GO:0005634") == [("GO:0005634", 1.0, None)]
    assert ground(Value("antibody_target", "brain"), catalogue) == ((), ())


def test_a_value_grounds_the_same_every_time(catalogue: Catalogue) -> None:
    value = Value("organism", "Mus musculus", ("NCBITaxon:9606",))
    assert ground(value, catalogue) == ground(value, catalogue)


def test_a_gene_ontology_term_goes_to_the_field_of_its_aspect(tmp_path: Path) -> None:
    frames = (
        "[Term]\nid: GO:0008150\nname: biological_process\n\n[Term]\nid: GO:0005575\nname: cellular_component\n\n"
        "[Term]\nid: GO:0003674\nname: molecular_function\n\n"
        "[Term]\nid: GO:0000278\nname: mitotic cell cycle\nis_a: GO:0008150\n\n"
        "[Term]\nid: GO:0005634\nname: nucleus\nis_a: GO:0005575\n\n"
        "[Term]\nid: GO:0005515\nname: protein binding\nis_a: GO:0003674\n"
    )
    with closing(catalogue_of(tmp_path, obo(tmp_path, frames))) as catalogue:
        terms = ("GO:0000278", "GO:0005634", "GO:0005515")
        fields = [ground(Value("gene_ontology", "", (term,)), catalogue)[0][0].field for term in terms]
    assert fields == ["biological_process", "cellular_component", "gene_ontology"]
