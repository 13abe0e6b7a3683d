"""No document, however broken, stops a reader or gives a record that the model refuses."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hooke.errors import HookeError, UnreadableSource
from hooke.model import Value
from indexer.sources.base import Document
from indexer.sources.ome_xml import read_header
from indexer.sources.rembi import read_rembi
from tests.indexer.sourcing import Read, read
from tests.indexer.test_bia_website import EXPORT
from tests.indexer.test_biostudies import SUBMISSION
from tests.indexer.test_idr_study import STUDY
from tests.indexer.test_idr_table import EXPERIMENT, SCREEN
from tests.indexer.test_records_table import RECORDS
from tests.indexer.test_rembi import REMBI
from tests.indexer.test_ro_crate import NODES

CRATE = json.dumps({"@graph": NODES})
DOCUMENTS = {
    "idr9001-study.txt": ("idr", STUDY),
    "idr9001-screenA-annotation.csv": ("idr", SCREEN),
    "idr9001-experimentA-annotation.csv": ("idr", EXPERIMENT),
    "ro-crate-metadata.json": ("ro-crate", CRATE),
    "S-BIAD9001.json": ("biostudies", json.dumps(SUBMISSION)),
    "export.json": ("bia-website", json.dumps(EXPORT)),
    "study.yaml": ("rembi", REMBI),
    "manifest.json": ("folder", json.dumps(RECORDS, indent=1)),
    "manifest.jsonl": ("folder", "\n".join(map(json.dumps, RECORDS))),
    "manifest.csv": ("folder", "path,organism,organism_id\na.png,Homo sapiens,9606\nb.png,Mus,10090\n"),
}
SCRAPS = st.sampled_from(['"', "\t", ",", "\r", "\n", "\x00", "\x07", "\xa0", "/", "[", "{", "Term", "é", "1;2", " "])

REFUSED = (b"MM", b"II", b"\xff\xd8", b"\x89P", b"\x1f\x8b")
"""How images and broken gzip start: refused by name where the caller names them, see `test_detect`."""


def read_data(name: str, source: str, data: bytes) -> Read:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        return read(path, source=source)


def check(found: Read) -> None:
    ids = [image.id for image in found.images]
    assert len(set(ids)) == len(ids)
    values: list[Value] = [value for study in found.studies for value in study.values]
    values += [value for image in found.images for value in image.values]
    assert all(value.text.strip() and value.field for value in values)
    assert all("\n" not in quarantined.reason for quarantined in found.quarantined)


@pytest.mark.parametrize("name", DOCUMENTS)
@given(data=st.data())
@settings(max_examples=600, deadline=None)
def test_a_document_with_scraps_in_it_is_read_or_quarantined(name: str, data: st.DataObject) -> None:
    source, text = DOCUMENTS[name]
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(0, len(text)))
        text = text[:position] + data.draw(SCRAPS) + text[position + data.draw(st.integers(0, 3)) :]
    check(read_data(name, source, text.encode()))


@pytest.mark.parametrize("name", DOCUMENTS)
@given(data=st.binary(max_size=200).filter(lambda data: not data.startswith(REFUSED)))
@settings(max_examples=20, deadline=None)
def test_bytes_of_no_format_are_quarantined(name: str, data: bytes) -> None:
    check(read_data(name, DOCUMENTS[name][0], data))


def json_of(keys: list[str]) -> st.SearchStrategy[object]:
    """JSON of any shape, under keys that mean something to a source."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=4),
        max_leaves=12,
    )


@given(root=json_of(["@id", "@type", "@value", "name", "about", "size", "license"]))
@settings(max_examples=60, deadline=None)
def test_a_graph_of_anything_is_read_or_quarantined(root: object) -> None:
    nodes = [{"@id": "ro-crate-metadata.json", "about": {"@id": "./"}}, {"@id": "./", "@type": "Dataset"}]
    graph = [*nodes, {"@id": "./", "name": root, "about": root, "keywords": root, "identifier": root}, root]
    check(read_data("ro-crate-metadata.json", "ro-crate", json.dumps({"@graph": graph}).encode()))


@given(
    root=json_of(["type", "name", "value", "valqual", "attributes", "subsections", "files", "links", "path", "accno"])
)
@settings(max_examples=100, deadline=None)
def test_a_submission_of_anything_is_read_or_quarantined(root: object) -> None:
    study = {"type": root, "attributes": root, "subsections": [root, {"type": "Study Component", "files": root}]}
    for submission in (root, {"accno": "S-1", "section": root}, {"accno": "S-1", "section": {**study, "links": root}}):
        found = read_data("S-1.json", "biostudies", json.dumps(submission).encode())
        check(found)
        assert found.studies or found.quarantined


@given(root=json_of(["accession_id", "study_accession_id", "original_relpath", "organism", "attributes", "sizeX"]))
@settings(max_examples=100, deadline=None)
def test_an_export_of_anything_is_read_or_quarantined(root: object) -> None:
    parts = ({"u": root, "v": {"study_accession_id": "S-1", "name": root, "attributes": root}}, root)
    for part in parts:
        found = read_data("export.json", "bia-website", json.dumps({"images": part, "datasets": part}).encode())
        check(found)
        assert {image.study_id for image in found.images} <= {study.id for study in found.studies}


@given(
    records=st.lists(json_of(["path", "study", "dataset", "organism", "organism_id", "id", "label", ""]), max_size=4)
)
@settings(max_examples=100, deadline=None)
def test_every_record_of_anything_is_an_image_or_quarantined(records: list[object]) -> None:
    rows = [{"path": "first.png"}, *records]
    lines = "\n".join(map(json.dumps, rows))
    for name, text in (("manifest.json", json.dumps(rows)), ("manifest.jsonl", lines)):
        found = read_data(name, "folder", text.encode())
        check(found)
        complaints = [q for q in found.quarantined if "no such file" not in q.reason]
        assert len(found.images) + len(complaints) >= len(rows) if name.endswith("l") else found.images


@given(st.text(max_size=60), st.integers(0, 3))
def test_ome_xml_of_anything_is_read_or_refused(scrap: str, where: int) -> None:
    parts = [
        '<OME><Image ID="a" Name="',
        '"><Pixels SizeX="',
        '"/><AnnotationRef ID="b"/></Image><X ID="b">',
        "</X></OME>",
    ]
    parts[where] += scrap
    with suppress(UnreadableSource):
        assert all(isinstance(image.name, str) for image in read_header("".join(parts)).images)


@given(st.text(alphabet="ab:-[]{}&*!#|>'\"\n ?,<0~", max_size=60))
def test_yaml_of_anything_is_a_study_or_refused(scrap: str) -> None:
    document = Document("x.yaml", "x.yaml", f"title: x\n{scrap}".encode())
    with suppress(HookeError):
        assert [study.id for study in read_rembi(document, lambda _: None)]
