"""Ids that a spreadsheet made are in conflict whatever the ontologies know of them; true pairs are left alone."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from hooke.model import Image, Unresolved, Value
from indexer.annotate import Annotator
from indexer.dragged import Dragged
from indexer.update import update_ontologies
from ontologies.catalogue import Catalogue
from tests.indexer.archives import TAXA, held, index_all, write_ontologies
from tests.indexer.sourcing import read
from tests.ontologies.samples import CELL_LINES, catalogue_of, obo
from tests.waiting_index import conflicts, write_wells

HELA, MCF = "EFO:0001185", "EFO:0001200"
MORE = "\n[Term]\nid: EFO:0001186\nname: HeLa S3\nis_a: EFO:0001185\n\n[Term]\nid: EFO:0001187\nname: K562\n"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    folder = tmp_path_factory.mktemp("lines")
    path = folder / "efo.obo"
    path.write_text(CELL_LINES + MORE)
    with closing(catalogue_of(folder, path)) as catalogue:
        yield catalogue


def plate(folder: Path, wells: Sequence[tuple[str, str]], name: str = "idr0001-screenA-annotation.csv") -> list[Image]:
    """The images of a table of cell lines and their ids."""
    rows = [f"P,A{number},{line},{identifier}" for number, (line, identifier) in enumerate(wells, start=1)]
    header = "Plate,Well,Characteristics [Cell Line],Term Source 1 Accession"
    (folder / name).write_text("\n".join([header, *rows, ""]))
    return list(read(folder / name).images)


def dragged(images: Sequence[Image]) -> list[str]:
    return [value.ids[0] for image in map(Dragged().marked, images) for value in image.values if value.dragged]


def grounded(
    images: Sequence[Image], catalogue: Catalogue
) -> tuple[list[tuple[str, str | None, str | None]], Annotator]:
    """The term, note and submitted id of each well."""
    annotator = Annotator(catalogue)
    made = map(annotator.image, map(Dragged().marked, images))
    mentions = [mention for image in made for value in image.values for mention in value.mentions]
    return [(mention.term, mention.note, mention.given_id) for mention in mentions], annotator


# --- what is dragged -------------------------------------------------------------------------------------------------


def test_an_id_that_counts_up_under_one_text_was_dragged_but_for_the_first(tmp_path: Path) -> None:
    ids = [f"EFO_000{number}" for number in range(998, 1003)]
    assert dragged(plate(tmp_path, [("HeLa", identifier) for identifier in ids])) == ids[1:]


def test_a_series_that_starts_again_starts_with_what_was_typed(tmp_path: Path) -> None:
    numbers = (5, 6, 7, 5, 6, 5, 5)
    assert dragged(plate(tmp_path, [("HeLa", f"EFO_{number}") for number in numbers])) == ["EFO_6", "EFO_7", "EFO_6"]


@pytest.mark.parametrize(
    "wells",
    [
        [("HeLa", HELA), ("HeLa", MCF), ("HeLa", "EFO:0001190"), ("HeLa", HELA), ("HeLa", MCF)],
        [(f"line {number}", f"EFO:000{number}") for number in range(1000, 1096)],
        [("HeLa", "EFO:0001185"), ("HeLa", "CLO:0001186"), ("HeLa", "EFO:0001184")],
        [("HeLa", "EFO:0001185"), ("MCF 10A", "EFO:0001200"), ("HeLa", "EFO:0001186")],
        [("HeLa", "EFO:0001185"), ("HeLa", "EFO:0001186;EFO:0001187"), ("HeLa", "EFO:0001188")],
        [("HeLa", "EFO:0001185"), ("HeLa", ""), ("HeLa", "EFO:0001186")],
    ],
    ids=["three ids of one text", "a line a well", "two ontologies", "not in the next row", "two ids", "none between"],
)
def test_several_ids_of_one_text_alone_are_no_series(tmp_path: Path, wells: list[tuple[str, str]]) -> None:
    assert dragged(plate(tmp_path, wells)) == []


def test_the_next_table_is_another_column(tmp_path: Path) -> None:
    above = plate(tmp_path, [("HeLa", "EFO:0001185")])
    below = plate(tmp_path, [("HeLa", "EFO:0001186")], "idr0001-screenB-annotation.csv")
    assert dragged([*above, *below]) == []


def test_fields_without_an_ontology_may_count(tmp_path: Path) -> None:
    images = [Image(f"s/{n}", "s", "", values=(Value("gene", "TP53", (f"ENSG:{n}",)),)) for n in range(5)]
    assert dragged(images) == []


# --- what becomes of it ----------------------------------------------------------------------------------------------


def test_a_dragged_id_is_in_conflict_whatever_the_ontologies_know_of_it(tmp_path: Path, lines: Catalogue) -> None:
    """No ontology has the ids of BTO: alone each would be an unknown id beside a name that is known."""
    images = plate(tmp_path, [("HeLa", f"BTO:000{number}") for number in range(1000, 1004)])
    found, annotator = grounded(images, lines)
    assert found[0] == (HELA, "unknown_id", "BTO:0001000")
    assert found[1:] == [(HELA, "id_label_conflict", f"BTO:000{number}") for number in (1001, 1002, 1003)]
    assert annotator.take_unresolved() == {
        Unresolved("cell_line", "HeLa", (f"BTO:000{number}",), "id_label_conflict", (HELA,)): 1
        for number in (1001, 1002, 1003)
    }


def test_a_relative_that_was_dragged_onto_is_in_conflict_too(tmp_path: Path, lines: Catalogue) -> None:
    found, annotator = grounded(plate(tmp_path, [("HeLa", HELA), ("HeLa", "EFO:0001186")]), lines)
    assert found == [(HELA, None, None), (HELA, "id_label_conflict", "EFO:0001186")]
    ((entry, _),) = annotator.take_unresolved().items()
    assert entry.candidates == (HELA, "EFO:0001186")


def test_a_pair_that_the_ontology_confirms_is_believed_within_a_series(tmp_path: Path, lines: Catalogue) -> None:
    found, annotator = grounded(plate(tmp_path, [("HeLa", "EFO:0001184"), ("HeLa", HELA), ("HeLa", HELA)]), lines)
    assert found == [(HELA, "id_label_conflict", "EFO:0001184"), (HELA, None, None), (HELA, None, None)]
    assert [entry.ids for entry in annotator.take_unresolved()] == [("EFO:0001184",)]


def test_the_same_pair_is_judged_by_its_row(tmp_path: Path, lines: Catalogue) -> None:
    found, _ = grounded(plate(tmp_path, [("HeLa", "BTO:5"), ("HeLa", "BTO:6"), ("HeLa", "BTO:6")]), lines)
    assert [note for _, note, _ in found] == ["unknown_id", "id_label_conflict", "unknown_id"]


def test_a_text_without_a_term_waits_with_the_id_that_is_not_believed(tmp_path: Path, lines: Catalogue) -> None:
    found, annotator = grounded(plate(tmp_path, [("griffin", HELA), ("griffin", "EFO:0001186")]), lines)
    assert found == [(HELA, "label_differs", HELA)]
    assert list(annotator.take_unresolved()) == [Unresolved("cell_line", "griffin", ("EFO:0001186",), "unknown_id")]


@pytest.mark.parametrize("each_second_first", [False, True], ids=["whole", "a table that has gained rows since"])
def test_a_newer_ontology_finds_the_dragged_ids_again(tmp_path: Path, each_second_first: bool) -> None:
    """Rows that were gained stand behind the others in the index, but between them in the table."""
    wells = [("Mus musculus", f"BTO:{number}") for number in range(10, 16)]
    release = str(obo(tmp_path, TAXA.replace("name: Mammalia", "name: mammals").partition("\n\n")[2], "ncbitaxon.obo"))
    taxa, methods = write_ontologies(tmp_path / "ontologies")
    archive, index = write_wells(tmp_path / "archive", wells), tmp_path / "old"
    if each_second_first:
        table = archive / "idr0001-screenA-annotation.csv"
        header, *rows = table.read_text().splitlines(keepends=True)
        table.write_text("".join([header, *rows[::2]]))
        index_all(index, archive, ontologies=[taxa, methods])
        write_wells(archive, wells)
    index_all(index, archive, ontologies=[taxa, methods])
    assert len(conflicts(index)["Mus musculus"].ids) == 1
    update_ontologies([release], index)
    index_all(tmp_path / "new", archive, ontologies=[release, methods])
    notes = [
        {image: [m.note for value in values for m in value.mentions] for image, values in held(each).images.items()}
        for each in (index, tmp_path / "new")
    ]
    assert notes[0] == notes[1]
    assert sum("id_label_conflict" in each for each in notes[0].values()) == 5
