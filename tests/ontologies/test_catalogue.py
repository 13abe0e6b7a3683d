from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hooke.errors import UnknownTerm
from hooke.model import IS_A, PART_OF, Method
from ontologies.catalogue import Catalogue
from ontologies.model import Resolution, Step
from tests.ontologies.samples import catalogue_of, obo, write_file

BRAIN, CORTEX, NEOCORTEX, ENTITY = "UBERON:0000955", "UBERON:0000956", "UBERON:0001950", "UBERON:0001062"


@pytest.mark.parametrize(
    ("spelling", "term"),
    [
        ("FBbi:00000246", "FBbi:00000246"),
        ("FBbi_00000246", "FBbi:00000246"),
        ("http://purl.obolibrary.org/obo/FBbi_00000246", "FBbi:00000246"),
        ("https://purl.obolibrary.org/obo/FBbi_00000246", "FBbi:00000246"),
        ("<http://purl.obolibrary.org/obo/FBbi_00000246>", "FBbi:00000246"),
        ("obo:FBbi_00000246", "FBbi:00000246"),
        ("fbbi:246", "FBbi:00000246"),
        ("Fbbi:00000246", "FBbi:00000246"),
        ("FBBI:0000000246", "FBbi:00000246"),
        ("NCBITaxon:9606", "NCBITaxon:9606"),
        ("NCBI:txid9606", "NCBITaxon:9606"),
        ("txid9606", "NCBITaxon:9606"),
        ("taxonomy:9606", "NCBITaxon:9606"),
        ("NCBITaxon:09606", "NCBITaxon:9606"),
        ("NCBI_9606", "NCBITaxon:9606"),
        ("NCBITaxon 9606", "NCBITaxon:9606"),
        (" NCBITaxon_9606 ", "NCBITaxon:9606"),
        ("https://identifiers.org/taxonomy:9606", "NCBITaxon:9606"),
        ("http://identifiers.org/taxonomy/9606", "NCBITaxon:9606"),
        ("http://purl.uniprot.org/taxonomy/9606", "NCBITaxon:9606"),
        ("https://www.ncbi.nlm.nih.gov/Taxonomy/Browser/wwwtax.cgi?id=9606", "NCBITaxon:9606"),
        ("http://www.ebi.ac.uk/efo/EFO_0001185", "EFO:0001185"),
        ("efo:EFO_0001185", "EFO:0001185"),
        ("CLO_0003684", "CLO:0003684"),
        ("CVCL_0001", "CVCL:0001"),
        ("cellosaurus:CVCL_0001", "CVCL:0001"),
        ("https://www.cellosaurus.org/CVCL_0001", "CVCL:0001"),
        ("UBERON:955", BRAIN),
    ],
)
def test_ids_in_any_spelling_resolve(catalogue: Catalogue, spelling: str, term: str) -> None:
    assert catalogue.resolve(spelling) == Resolution(term, spelling)


@pytest.mark.parametrize("text", ["", "brain", "10:30", "nucleus: DAPI", "9606", "a", ":", "UBERON:", "http://x", "()"])
def test_what_is_no_known_id_resolves_to_none(catalogue: Catalogue, text: str) -> None:
    assert catalogue.resolve(text) is None


def test_a_bare_number_resolves_only_with_a_prefix(catalogue: Catalogue) -> None:
    assert catalogue.resolve("9606", prefixes=("NCBITaxon",)) == Resolution("NCBITaxon:9606", "9606")


def test_an_alternative_id_is_rewritten_to_its_primary(catalogue: Catalogue) -> None:
    assert catalogue.resolve("UBERON_6110636") == Resolution(BRAIN, "UBERON_6110636", "UBERON:6110636", "alt_id")
    assert catalogue.term("UBERON:6110636").id == BRAIN


def test_a_chain_of_replacements_is_followed(catalogue: Catalogue) -> None:
    resolution = Resolution(BRAIN, "UBERON:0009001", "UBERON:0009001", "replaced_by")
    assert catalogue.resolve("UBERON:0009001") == resolution


def test_a_circle_of_replacements_stays_where_it_is(catalogue: Catalogue) -> None:
    assert catalogue.resolve("UBERON:0009004") == Resolution("UBERON:0009004", "UBERON:0009004")


def test_terms_to_consider_are_suggested_only(catalogue: Catalogue) -> None:
    found = catalogue.resolve("UBERON:0009003")
    assert found == Resolution("UBERON:0009003", "UBERON:0009003", None, None, (BRAIN, "UBERON:0002107"))


def test_an_obsolete_term_is_its_only_ancestor(catalogue: Catalogue) -> None:
    assert catalogue.ancestors("UBERON:0009003") == {"UBERON:0009003"}


def test_part_of_counts_as_ancestor_in_every_spelling(catalogue: Catalogue) -> None:
    assert catalogue.ancestors(NEOCORTEX) == {NEOCORTEX, CORTEX, BRAIN, ENTITY}
    assert catalogue.descendants(BRAIN) == {BRAIN, CORTEX, NEOCORTEX}
    assert catalogue.ancestors("UBERON_0000956", ("BFO:0000050",)) == {CORTEX, BRAIN}


def test_develops_from_is_no_ancestor_unless_asked_for(catalogue: Catalogue) -> None:
    assert "UBERON:0001049" not in catalogue.ancestors("UBERON:0010000")
    assert "UBERON:0001049" in catalogue.ancestors("UBERON:0010000", ("develops_from",))


@pytest.mark.parametrize(
    ("relations", "above"),
    [
        (("is_a",), {"X:2"}),
        (("part_of",), {"X:3"}),
        (("develops_from",), {"X:4"}),
        (("is_a", "develops_from"), {"X:2", "X:4", "X:5"}),
        (("RO:0002202", "BFO:0000050"), {"X:3", "X:4"}),
        (("is_a", "part_of", "develops_from", "adjacent_to"), {"X:2", "X:3", "X:4", "X:5"}),
        (("adjacent_to",), set()),
    ],
)
def test_closures_follow_any_relations_asked_for(tmp_path: Path, relations: tuple[str, ...], above: set[str]) -> None:
    frames = """[Term]
id: X:1
is_a: X:2
relationship: part_of X:3
relationship: develops_from X:4
[Term]
id: X:2
[Term]
id: X:3
[Term]
id: X:4
is_a: X:5
[Term]
id: X:5
[Typedef]
id: part_of
[Typedef]
id: develops_from
"""
    catalogue = catalogue_of(tmp_path, obo(tmp_path, frames))
    assert catalogue.ancestors("X:1", relations) == {"X:1", *above}
    assert all("X:1" in catalogue.descendants(term, relations) for term in above)


def test_the_closure_over_no_relation_is_the_term_itself(catalogue: Catalogue) -> None:
    assert catalogue.descendants(BRAIN, ()) == {BRAIN}
    assert catalogue.descendants("CVCL:0001", ()) == {"CVCL:0001"}


def test_a_merged_source_counts_for_any_relation_and_says_so(catalogue: Catalogue) -> None:
    assert catalogue.ancestors("CVCL_0031", (IS_A,)) == {"CVCL:0031", "CVCL:0030", "CVCL:0001"}
    assert (catalogue.merged("CVCL:0030"), catalogue.merged(BRAIN)) == (True, False)


def test_parents_and_children_are_one_step_away(catalogue: Catalogue) -> None:
    assert set(catalogue.parents(NEOCORTEX)) == {CORTEX, BRAIN}
    assert catalogue.parents(NEOCORTEX, (IS_A,)) == (CORTEX,)
    assert set(catalogue.children(BRAIN)) == {CORTEX, NEOCORTEX}


def test_a_path_names_the_relation_of_each_step(catalogue: Catalogue) -> None:
    assert catalogue.path(CORTEX, ENTITY) == (
        Step(CORTEX, "cerebral cortex"),
        Step(BRAIN, "brain", PART_OF),
        Step(ENTITY, "anatomical entity", IS_A),
    )
    assert len(catalogue.path(NEOCORTEX, BRAIN)) == 2
    assert catalogue.path(BRAIN, BRAIN) == (Step(BRAIN, "brain"),)
    assert catalogue.path(BRAIN, CORTEX) == ()


def test_a_circle_of_is_a_ends(tmp_path: Path) -> None:
    frames = "[Term]\nid: X:1\nis_a: X:2\n\n[Term]\nid: X:2\nis_a: X:1\n"
    catalogue = catalogue_of(tmp_path, obo(tmp_path, frames))
    assert catalogue.ancestors("X:1") == catalogue.descendants("X:2") == {"X:1", "X:2"}


def test_the_source_whose_prefix_a_term_has_describes_it_and_edges_unite(tmp_path: Path) -> None:
    files = [write_file(tmp_path, "efo.obo"), write_file(tmp_path, "taxa.obo")]
    extra = obo(tmp_path, "[Term]\nid: EFO:0000999\nname: species\n\n[Term]\nid: X:1\n", "extra.obo")
    catalogue = catalogue_of(tmp_path, *files, extra)
    assert (catalogue.label("NCBITaxon:9606"), catalogue.term("NCBITaxon:9606").ontology) == (
        "Homo sapiens",
        "ncbitaxon",
    )
    assert catalogue.find("imported synonym") == ()
    assert {"EFO:0000999", "NCBITaxon:40674"} <= catalogue.ancestors("NCBITaxon:9606")


def test_an_id_merged_away_by_its_ontology_is_no_term_of_an_older_import(tmp_path: Path) -> None:
    imported = obo(tmp_path, "[Term]\nid: Y:1\n[Term]\nid: Y:2\n[Term]\nid: UBERON:6110636\nname: old brain\n", "y.obo")
    catalogue = catalogue_of(tmp_path, imported, write_file(tmp_path, "uberon.obo"))
    assert catalogue.label("UBERON:6110636") == "brain"


def test_an_unknown_id_is_refused_with_where_and_what_else(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownTerm) as refused:
        catalogue.term("UBERON:00009555")
    assert str(refused.value) == "no term 'UBERON:00009555' in uberon 2025-08-15; did you mean UBERON:0000955 (brain)?"
    with pytest.raises(UnknownTerm, match=r"did you mean FBbi:00000246 \(fluorescence microscopy\)"):
        catalogue.term("FBi:00000246")
    with pytest.raises(UnknownTerm, match=r"did you mean NCBITaxon:40674 \(Mammalia\)"):
        catalogue.ancestors("Mamalia")


def test_an_empty_catalogue_says_that_nothing_is_loaded(tmp_path: Path) -> None:
    empty = Catalogue.open(tmp_path, "")
    assert (empty.ontologies(), empty.resolve("X:1"), empty.label("X:1"), empty.suggest("x")) == ((), None, "X:1", ())
    with pytest.raises(UnknownTerm, match="no ontology is loaded"):
        empty.term("X:1")


@pytest.mark.parametrize(
    ("phrase", "term", "method"),
    [
        ("brain", BRAIN, Method.LABEL),
        ("  BRAIN ", BRAIN, Method.LABEL),
        ("encephalon", BRAIN, Method.EXACT_SYNONYM),
        ("the brain", BRAIN, Method.OTHER_SYNONYM),
        ("livers", "UBERON:0002107", Method.NORMALISED),
        ("cerebral-cortex", CORTEX, Method.NORMALISED),
        ("neural nuclei", "UBERON:0010000", Method.NORMALISED),
        ("mammal", "NCBITaxon:40674", Method.NORMALISED),
        ("H. sapiens", "NCBITaxon:9606", Method.NORMALISED),
        ("M musculus", "NCBITaxon:10090", Method.NORMALISED),
        ("MCF10A", "EFO:0001200", Method.NORMALISED),
        ("MCF 10B", None, None),
        ("cerebral", None, None),
        ("", None, None),
        ("...", None, None),
    ],
)
def test_a_phrase_finds_the_terms_it_names(
    catalogue: Catalogue, phrase: str, term: str | None, method: Method | None
) -> None:
    found = catalogue.find(phrase)
    assert [(match.term, match.method) for match in found] == ([(term, method)] if term else [])


def test_a_label_comes_before_a_synonym_and_prefixes_narrow(catalogue: Catalogue) -> None:
    assert [match.term for match in catalogue.find("nucleus")] == ["GO:0005634", "UBERON:0010000"]
    assert [match.term for match in catalogue.find("nucleus", ("UBERON",))] == ["UBERON:0010000"]


def test_an_ambiguous_abbreviation_finds_all(catalogue: Catalogue) -> None:
    assert {match.term for match in catalogue.find("D. melanogaster")} == {"NCBITaxon:7227", "NCBITaxon:999999"}


def test_the_name_of_an_obsolete_term_finds_its_replacement(catalogue: Catalogue) -> None:
    (found,) = catalogue.find("old brain")
    assert (found.term, found.label, found.name) == (BRAIN, "brain", "old brain")


def test_two_letters_changed_round_in_a_synonym_are_suggested_once(catalogue: Catalogue) -> None:
    suggested = catalogue.suggest("house muose")
    assert [match.term for match in suggested].count("NCBITaxon:10090") == 1
    assert suggested[0].name == "house mouse"


def test_a_misspelt_plural_is_suggested_by_its_singular(catalogue: Catalogue) -> None:
    assert [match.term for match in catalogue.suggest("brians")] == ["UBERON:0000955"]


def test_a_misspelling_is_suggested_and_never_found(catalogue: Catalogue) -> None:
    (suggested,) = catalogue.suggest("flourescence microscopy", prefixes=("FBbi",))
    assert (suggested.term, suggested.method) == ("FBbi:00000246", Method.FUZZY)
    assert catalogue.find("flourescence microscopy") == ()


def test_threads_share_a_catalogue(catalogue: Catalogue) -> None:
    def ask(_: int) -> tuple[object, ...]:
        return catalogue.resolve("fbbi:246"), catalogue.find("brain"), catalogue.path(NEOCORTEX, ENTITY)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(400)))) == 1


def test_descendants_among_terms_are_the_descendants_that_are_among_them(catalogue: Catalogue) -> None:
    some = frozenset({CORTEX, ENTITY, "UBERON:6110636", "X:1", "CVCL:0030"})
    for relations in ((IS_A, PART_OF), (IS_A,), ()):
        for term in (BRAIN, ENTITY, "CVCL:0001", "UBERON:955"):
            expected = catalogue.descendants(term, relations) & some
            assert catalogue.descendants_among(term, some, relations) == expected
