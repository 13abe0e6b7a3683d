"""What a path is, told by content."""

import gzip
import os
from pathlib import Path

import pytest

from hooke.errors import BadInput, UnreadableSource
from indexer.sources import Discovery, Input, Quarantined, Source, discover
from tests.indexer.sourcing import tar

CRATE = b'{"@context": "https://w3id.org/ro/crate/1.2/context", "@graph": []}'
STUDY = b"Comment[IDR Study Accession]\tidr9001\nStudy Title\tx\n"
TABLE = b"Plate,Well,Characteristics [Organism]\np,A1,Homo sapiens\n"
SUBMISSION = b'{"accno": "S-BIAD1", "attributes": [], "section": {"type": "Study"}}'
EXPORT = b'{"collections": {}, "images": {"u": {"study_accession_id": "S-BIAD1", "name": "a.tif"}}, "datasets": {}}'
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 20


def found_in(*paths: Path, source: str | None = None) -> Discovery:
    return discover(paths, source=source, quarantine=raise_instead)


def raise_instead(quarantined: Quarantined) -> None:
    raise AssertionError(quarantined)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "source"),
    [
        ("anything.json", CRATE, Source.RO_CRATE),
        ("notes.txt", STUDY, Source.IDR_STUDY),
        ("idr9001-plates.csv", TABLE, Source.IDR_TABLE),
        ("S-BIAD1.json", SUBMISSION, Source.BIOSTUDIES),
        ("no-accession.json", b'{"attributes": [], "section": {"type": "Study"}}', Source.BIOSTUDIES),
        ("cut.json", SUBMISSION[:-4], Source.BIOSTUDIES),
        ("export.json", EXPORT, Source.BIA_WEBSITE),
        ("export.json.gz", gzip.compress(EXPORT, mtime=0), Source.BIA_WEBSITE),
        ("studies.json", b'{"images": {}, "datasets": {"S-1": {"accession_id": "S-1"}}}', Source.BIA_WEBSITE),
        ("Study.yaml", b"title: x\ndescription: y\nauthors:\n  - a\nlicense: CC0\n", Source.REMBI),
        ("x.yml.gz", gzip.compress(b"# MIFA\nannotation_overview: masks\n", mtime=0), Source.REMBI),
        ("any.yaml", b"---\nStudy:\n  title: x\nStudy Components:\n- name: y\n", Source.REMBI),
        ("images.json", b'[{"path": "a.png"}]', Source.FOLDER),
        ("cut-table.json", b'[{"path": "a.png"}, {"path', Source.FOLDER),
        ("images.jsonl", b'{"file": "a.tif"}\n{"file": "b.tif"}\n', Source.FOLDER),
        ("x/experimentA-idr0070-experimentA-annotation.csv", b"", Source.IDR_TABLE),
    ],
)
def test_a_file_is_what_its_content_says(tmp_path: Path, name: str, data: bytes, source: Source) -> None:
    path = write(tmp_path / name, data)
    assert found_in(path).inputs == (Input(source, path),)


def test_a_folder_of_tables_ignores_what_lies_beside_them(tmp_path: Path) -> None:
    table = write(tmp_path / "idr9001-screenA-annotation.csv", TABLE.replace(b"Plate,Well", b"Image Name,Plate"))
    write(tmp_path / "INDEX.tsv", b"file\tpath\nidr9001-screenA-annotation.csv\tscreenA/x.csv\n")
    write(tmp_path / "README.md", b"# read me")
    assert found_in(tmp_path) == Discovery((Input(Source.IDR_TABLE, table),), ignored=2)


def test_a_table_of_image_files_is_no_manifest_of_a_folder(tmp_path: Path) -> None:
    data = b"Dataset Name,Image Name,Characteristics [Organism]\nd,a.tif,Homo sapiens\n"
    table = write(tmp_path / "idr9001-experimentA-annotation.csv", data)
    assert found_in(tmp_path).inputs == (Input(Source.IDR_TABLE, table),)


def test_folders_are_searched_for_every_source(tmp_path: Path) -> None:
    crate = write(tmp_path / "a" / "b" / "ro-crate-metadata.json", CRATE)
    manifest = write(tmp_path / "images" / "manifest.csv", b"path\nx/a.png\n")
    write(tmp_path / "images" / "x" / "a.png", PNG)
    write(tmp_path / ".git" / "ro-crate-metadata.json", CRATE)
    assert found_in(tmp_path).inputs == (Input(Source.RO_CRATE, crate), Input(Source.FOLDER, manifest))


def test_images_beside_metadata_are_passed_by_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "ro-crate-metadata.json", CRATE)
    write(tmp_path / "preview.png", PNG)
    assert found_in(tmp_path).ignored == 1


def test_settings_make_a_folder_a_source_beside_others(tmp_path: Path) -> None:
    write(tmp_path / "ro-crate-metadata.json", CRATE)
    write(tmp_path / "cells" / "hooke.toml", b'[study]\nid = "cells"\n')
    write(tmp_path / "cells" / "a.png", PNG)
    assert Input(Source.FOLDER, tmp_path / "cells") in found_in(tmp_path).inputs


def test_a_tar_of_several_sources_is_an_input_of_each(tmp_path: Path) -> None:
    path = tar(tmp_path / "all.tar.gz", {"a-ro-crate-metadata.json": CRATE, "b/idr9001-study.txt": STUDY, "c": b"?"})
    assert [i.source for i in found_in(path).inputs] == [Source.IDR_STUDY, Source.RO_CRATE]


def test_submissions_and_exports_in_a_tar_are_inputs_beside_crates(tmp_path: Path) -> None:
    path = tar(tmp_path / "all.tar", {"a/b.json": SUBMISSION, "c.json": EXPORT, "d.json": CRATE, "e.json": b"[]"})
    assert [i.source for i in found_in(path).inputs] == [Source.BIA_WEBSITE, Source.BIOSTUDIES, Source.RO_CRATE]


def test_a_list_in_json_does_not_claim_its_folder(tmp_path: Path) -> None:
    submission = write(tmp_path / "S-BIAD1.json", SUBMISSION)
    write(tmp_path / "list1.json", b'[{"path": "a.png", "type": "file"}]')
    inner = write(tmp_path / "sub" / "S-BIAD2.json", SUBMISSION)
    found = found_in(tmp_path).inputs
    assert found == (Input(Source.BIOSTUDIES, submission), Input(Source.BIOSTUDIES, inner))


def test_records_beside_images_are_the_folders_manifest(tmp_path: Path) -> None:
    table = write(tmp_path / "cells" / "manifest.jsonl", b'{"path": "a.png"}\n')
    write(tmp_path / "cells" / "a.png", PNG)
    write(tmp_path / "cells" / "notes.json", b'{"path": "a.png"}')
    submission = write(tmp_path / "S-BIAD1.json", SUBMISSION)
    assert found_in(tmp_path).inputs == (Input(Source.BIOSTUDIES, submission), Input(Source.FOLDER, table))


def test_a_manifest_of_text_goes_before_other_tables_in_any_format(tmp_path: Path) -> None:
    write(tmp_path / "a.json", b'[{"path": "a.png"}]')
    manifest = write(tmp_path / "manifest.ndjson", b'{"path": "a.png"}')
    write(tmp_path / "z.csv", b"path\na.png\n")
    assert found_in(tmp_path).inputs == (Input(Source.FOLDER, manifest),)


def test_a_path_given_twice_is_one_input(tmp_path: Path) -> None:
    path = write(tmp_path / "ro-crate-metadata.json", CRATE)
    assert len(found_in(path, path, tmp_path).inputs) == 1


def test_forcing_a_source_takes_a_file_as_that(tmp_path: Path) -> None:
    path = write(tmp_path / "renamed.txt", b"Study Title without a tab\n")
    assert found_in(path, source="idr").inputs == (Input(Source.IDR_STUDY, path),)


def test_forcing_a_source_leaves_out_the_others(tmp_path: Path) -> None:
    crate = write(tmp_path / "ro-crate-metadata.json", CRATE)
    write(tmp_path / "idr9001-study.txt", STUDY)
    assert found_in(tmp_path, source="ro-crate").inputs == (Input(Source.RO_CRATE, crate),)


def test_a_forced_folder_is_one_source(tmp_path: Path) -> None:
    write(tmp_path / "ro-crate-metadata.json", CRATE)
    write(tmp_path / "a.png", PNG)
    assert found_in(tmp_path, source="folder").inputs == (Input(Source.FOLDER, tmp_path),)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"hello"),
        ("table.csv", b"a,b\n1,2\n"),
        ("x.tar.gz", b"\x1f\x8bbroken"),
        ("settings.json", b'{"file": "a.png"}'),
        ("list.json", b'["a.png"]'),
        ("deep.json", b"[" * 10_000),
        ("environment.yaml", b"name: x\nchannels:\n- conda-forge\ndependencies: []\n"),
        ("mkdocs.yml", b"site_name: x\nnav: []\n"),
    ],
)
def test_a_file_that_is_nothing_known_is_refused_by_name(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(UnreadableSource, match=name):
        found_in(write(tmp_path / name, data))


def test_an_empty_folder_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="Hooke reads an IDR study file"):
        found_in(tmp_path)


def test_an_image_given_as_metadata_is_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="give the folder"):
        found_in(write(tmp_path / "a.png", PNG))


def test_a_missing_path_and_an_unknown_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="no such file or folder"):
        found_in(tmp_path / "gone")
    with pytest.raises(BadInput, match="no source 'bioformats'"):
        found_in(tmp_path, source="bioformats")


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be read, also by root, whom file modes do not stop."""
    folder = tmp_path / "locked"
    write(folder / "ro-crate-metadata.json", CRATE)
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder


def test_an_unreadable_folder_is_refused_when_named_and_quarantined_when_nested(locked: Path) -> None:
    crate = write(locked.parent / "open" / "ro-crate-metadata.json", CRATE)
    quarantined: list[Quarantined] = []
    assert discover([locked.parent], quarantine=quarantined.append).inputs == (Input(Source.RO_CRATE, crate),)
    assert [q.path for q in quarantined] == [str(locked)]
    with pytest.raises(UnreadableSource, match="Permission denied"):
        found_in(locked)
