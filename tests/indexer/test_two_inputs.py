"""One image that two inputs name: who has it, and who keeps it when one lets go."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from hooke.model import Image
from indexer import pipeline
from indexer.merge import ImageOwners
from indexer.report import Report
from tests.indexer.archives import held, index_all, write_idr, write_ontologies
from tests.indexer.sourcing import texts


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "index"


def write(folder: Path, *rows: str, organism: str) -> Path:
    """A table of images of the study `cells`."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        (folder / f"{row}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    lines = [f"{row}.png,cells,{organism}" for row in rows]
    (folder / "manifest.csv").write_text("\n".join(["path,study,organism", *lines, ""]))
    return folder


def organisms(index: Path) -> dict[str, str]:
    images = held(index).images
    return {key.removeprefix("cells/").removesuffix(".png"): texts(v, "organism")[0] for key, v in images.items()}


def conflicts(report: Report) -> list[str]:
    return [q.reason for q in report.quarantined]


@pytest.fixture
def human(tmp_path: Path) -> Path:
    return write(tmp_path / "1 human", "a", "b", organism="Homo sapiens")


@pytest.fixture
def mouse(tmp_path: Path) -> Path:
    return write(tmp_path / "2 mouse", "b", "c", organism="Mus musculus")


BOTH = {"a": "Homo sapiens", "b": "Homo sapiens", "c": "Mus musculus"}


def test_the_first_input_of_a_run_has_the_image_and_the_other_is_told(index: Path, human: Path, mouse: Path) -> None:
    report = index_all(index, human, mouse)
    assert organisms(index) == BOTH
    assert conflicts(report) == [f"image 'cells/b.png' is also in {human / 'manifest.csv'}, and kept from there"]


def test_the_input_that_had_it_before_keeps_it(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human)
    report = index_all(index, mouse)
    assert organisms(index) == BOTH
    assert len(conflicts(report)) == 1


def test_the_same_command_again_changes_nothing_and_tells_again(index: Path, human: Path, mouse: Path) -> None:
    first = index_all(index, human, mouse)
    before = held(index)
    again = index_all(index, human, mouse)
    assert held(index) == before
    assert (again.unchanged, again.removed, conflicts(again)) == (1, 0, conflicts(first))
    assert index_all(index, mouse).removed == 0
    assert held(index).images == before.images


@pytest.mark.parametrize("order", [0, 1])
def test_what_one_lets_go_the_other_gives_in_the_same_run(index: Path, human: Path, mouse: Path, order: int) -> None:
    inputs = [human, mouse][:: -1 if order else 1]
    index_all(index, *inputs)
    before = held(index).ordinals
    write(inputs[0], "a", "x", organism="Rattus norvegicus")
    report = index_all(index, *inputs)
    assert organisms(index)["b"] == ("Homo sapiens" if order else "Mus musculus")
    assert held(index).ordinals["cells/b.png"] == before["cells/b.png"], "vectors hang on it"
    assert not [reason for reason in conflicts(report) if "cells/b.png" in reason]


def test_what_the_other_named_is_not_deleted_while_the_other_is_not_read(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human, mouse)
    write(human, "a", organism="Homo sapiens")
    report = index_all(index, human)
    assert organisms(index) == BOTH
    assert (report.removed, "index both in one run" in conflicts(report)[0]) == (0, True)
    assert conflicts(index_all(index, human, mouse)) == []
    assert organisms(index) == BOTH | {"b": "Mus musculus"}


def test_omission_by_the_one_that_does_not_have_it_takes_nothing_away(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human)
    index_all(index, mouse)
    write(mouse, "c", organism="Mus musculus")
    report = index_all(index, mouse)
    assert organisms(index) == BOTH
    assert (report.removed, conflicts(report)) == (0, [])


def test_an_image_goes_when_nobody_names_it(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human, mouse)
    write(human, "a", organism="Homo sapiens")
    write(mouse, "c", organism="Mus musculus")
    report = index_all(index, human, mouse)
    assert organisms(index).keys() == {"a", "c"}
    assert report.removed == 1
    assert index_all(index, human, mouse).unchanged == 2


def test_an_input_whose_file_is_gone_keeps_nothing_from_another(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human, mouse)
    (human / "manifest.csv").unlink()
    assert conflicts(index_all(index, mouse)) == []
    assert organisms(index) == BOTH | {"b": "Mus musculus"}


def test_an_archive_that_moved_is_the_same_archive(index: Path, human: Path, tmp_path: Path) -> None:
    index_all(index, human)
    moved = human.rename(tmp_path / "moved")
    write(moved, "a", "b", organism="Mus musculus")
    assert conflicts(index_all(index, moved)) == []
    assert set(organisms(index).values()) == {"Mus musculus"}


@pytest.mark.parametrize("images", range(3))
def test_a_run_killed_anywhere_ends_as_an_undisturbed_one(
    index: Path, human: Path, mouse: Path, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    monkeypatch.setattr(pipeline, "COMMIT_IMAGES", 1)
    kept, left = ImageOwners.kept, iter(range(images))

    def killed(self: ImageOwners, given: Iterable[Image], part: str) -> Iterator[Image]:
        for image in kept(self, given, part):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield image

    with monkeypatch.context() as patched:
        patched.setattr(ImageOwners, "kept", killed)
        with pytest.raises(KeyboardInterrupt):
            index_all(index, human, mouse)
    index_all(index, human, mouse)
    assert organisms(index) == BOTH


def shown(index: Path) -> set[str]:
    return set(texts(held(index).studies["cells"], "organism"))


def test_inputs_of_one_kind_given_one_after_the_other_make_one_study(index: Path, human: Path, mouse: Path) -> None:
    index_all(index, human)
    index_all(index, mouse)
    assert shown(index) == {"Homo sapiens", "Mus musculus"}
    write(mouse, "b", "c", organism="Rattus norvegicus")
    index_all(index, human, mouse)
    assert shown(index) == {"Homo sapiens", "Rattus norvegicus"}
    (mouse / "manifest.csv").unlink()
    write(human, "a", organism="Danio rerio")
    index_all(index, human)
    assert shown(index) == {"Danio rerio"}


def test_a_table_after_its_study_file_takes_nothing_from_the_study(index: Path, tmp_path: Path) -> None:
    archive = write_idr(tmp_path / "archive")
    index_all(index, archive / "idr0001-study.txt")
    index_all(index, archive / "idr0001-screenA-annotation.csv")
    apart = held(index).studies["idr0001"]
    index_all(tmp_path / "together", archive)
    assert set(apart) == set(held(tmp_path / "together").studies["idr0001"])
    assert "Nuclei of many cells" in texts(apart, "title")


def test_many_images_of_another_are_told_in_one_line(index: Path, tmp_path: Path) -> None:
    rows = [f"f{n}" for n in range(30)]
    one, two = (write(tmp_path / name, *rows, organism="Homo sapiens") for name in ("one", "two"))
    report = index_all(index, one, two)
    (reason,) = conflicts(report)
    assert reason.startswith("image 'cells/f0.png' and 29 more are also in")


def test_prose_is_read_again_where_another_input_says_more_of_the_study(
    index: Path, tmp_path: Path, mouse: Path
) -> None:
    described = tmp_path / "described"
    described.mkdir()
    (described / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (described / "manifest.csv").write_text("path,study,description\nx.png,cells,Homo sapiens beside others\n")
    ontologies = write_ontologies(tmp_path / "ontologies")
    index_all(index, described, ontologies=ontologies)
    assert organisms(index) == {"x": "Homo sapiens"}
    index_all(index, described, mouse)
    index_all(tmp_path / "anew", described, mouse, ontologies=ontologies)
    assert held(index).images == held(tmp_path / "anew").images
    assert index_all(index, described, mouse).unchanged == 2


def test_an_input_that_is_not_given_is_read_again_when_it_is(index: Path, tmp_path: Path, mouse: Path) -> None:
    described = tmp_path / "described"
    described.mkdir()
    (described / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (described / "manifest.csv").write_text("path,study,description\nx.png,cells,Homo sapiens beside others\n")
    index_all(index, described, ontologies=write_ontologies(tmp_path / "ontologies"))
    index_all(index, mouse)
    report = index_all(index, described)
    assert report.unchanged == 0
    assert not texts(held(index).images["cells/x.png"], "organism")
