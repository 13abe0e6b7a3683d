"""Small archives in the formats of the real ones, and what an index holds, for the tests of the pipeline."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from hooke.embed.fingerprint import load_space
from hooke.embed.timm import DEFAULT_MODEL
from hooke.index import IndexDirectory
from hooke.model import Level, Value
from hooke.query import Everything
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.sqlite import SqliteStore
from hooke.vectors.place import open_vectors
from hooke.views import Kind
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from indexer.report import Report

MODEL = Model(DEFAULT_MODEL)

TAXA = """format-version: 1.2
ontology: ncbitaxon

[Term]
id: NCBITaxon:40674
name: Mammalia

[Term]
id: NCBITaxon:9606
name: Homo sapiens
synonym: "human" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:10090
name: Mus musculus
is_a: NCBITaxon:40674
"""

METHODS = """format-version: 1.2
ontology: fbbi

[Term]
id: FBbi:00000246
name: fluorescence microscopy

[Term]
id: FBbi:00000251
name: confocal microscopy
is_a: FBbi:00000246
"""

STUDY_FILE = """Study Title\tNuclei of many cells
Study Type\thigh content screen
Study Organism\tHomo sapiens
Study Organism Term Source REF\tNCBITaxon
Study Organism Term Accession\t9606
Comment[IDR Study Accession]\tidr0001
Screen Number\t1
Comment[IDR Screen Name]\tidr0001-someone-nuclei/screenA
Screen Imaging Method\tconfocal microscopy
Screen Imaging Method Term Source REF\tFBbi
Screen Imaging Method Term Accession\tFBbi_00000251
"""

TABLE = """Plate,Well,Characteristics [Organism],Term Source 1 REF,Term Source 1 Accession,Characteristics [Cell Line]
P1,A1,Mus musculus,NCBITaxon,NCBITaxon_10090,NMuMG
P1,A2,,,,HeLa
P1,A3,,,,HeLa
"""


def write_ontologies(folder: Path) -> tuple[str, ...]:
    """The two small ontologies as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("taxa", TAXA), ("methods", METHODS)):
        (folder / f"{name}.obo").write_text(text)
    return (str(folder / "taxa.obo"), str(folder / "methods.obo"))


def write_crate(folder: Path, accession: str, name: str, *, taxon: str = "9606") -> Path:
    """A GIDE crate in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    root = {
        "@id": f"https://example.org/{accession}",
        "@type": ["Dataset"],
        "identifier": accession,
        "name": name,
        "description": f"What was done in {accession}.",
        "keywords": ["nucleus"],
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "datePublished": "2021-05-30",
        "about": [{"@id": f"obo:NCBITaxon_{taxon}"}],
        "measurementMethod": [{"@id": "obo:FBbi_00000251"}],
    }
    descriptor = {"@id": "ro-crate-metadata.json", "@type": "CreativeWork", "about": {"@id": root["@id"]}}
    path = folder / "ro-crate-metadata.json"
    path.write_text(json.dumps({"@graph": [descriptor, root]}))
    return path


def write_idr(folder: Path) -> Path:
    """An IDR study file with one table of three wells."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idr0001-study.txt").write_text(STUDY_FILE)
    (folder / "idr0001-screenA-annotation.csv").write_text(TABLE)
    return folder


def write_images(folder: Path, number: int, *, first: int = 0) -> Path:
    """A folder of different images, each a row of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(first, number):
        pixels = np.random.default_rng(n).integers(0, 256, (24, 24), dtype=np.uint8)
        Picture.fromarray(pixels).save(folder / f"field{n:03}.png")
    write_manifest(folder, [f"field{n:03}.png" for n in range(number)])
    return folder


def write_manifest(folder: Path, names: Sequence[str], *, organism: str = "Homo sapiens") -> None:
    rows = [f"{name},{organism},{number}" for number, name in enumerate(names)]
    (folder / "manifest.csv").write_text("\n".join(["path,organism,field_number", *rows, ""]))


@dataclass(frozen=True)
class Held:
    """What an index holds, whatever the ordinals: effective values of each record by id, and the rows of each image."""

    studies: Mapping[str, tuple[Value, ...]]
    images: Mapping[str, tuple[Value, ...]]
    ordinals: Mapping[str, int]
    vectors: Mapping[str, bytes]
    channels: Mapping[str, bytes]
    unresolved: tuple[object, ...]


def held(directory: Path) -> Held:
    """Everything in an index, read from the store and the vectors behind the engine's back."""
    index = IndexDirectory(directory)
    with closing(SqliteStore(index.metadata)) as store, store.read() as reader:
        records = {level: reader.records(level, list(reader.ordinals(level, Everything()))) for level in Level}
        manifest = reader.snapshot.manifest
        vectors: dict[str, bytes] = {}
        channels: dict[str, bytes] = {}
        if manifest.space:
            space, _ = load_space(index.spaces / f"{manifest.space}.json")
            written = open_vectors(index, space.fingerprint, DEFAULT_CLUSTER)
            opened, beside = written.read(manifest.segments), written.read(manifest.segments, Kind.CHANNEL)
            assert beside.ordinals() == opened.ordinals(), "an image lacks rows of a kind"
            for record in records[Level.IMAGE]:
                rows = opened.vectors_of(record.ordinal)
                assert len(rows) <= 1, f"{record.id} has {len(rows)} rows"
                vectors |= {record.id: rows.tobytes()} if len(rows) else {}
                channels |= {record.id: beside.vectors_of(record.ordinal).tobytes()} if len(rows) else {}
        by_level = {level: [record.id for record in records[level]] for level in Level}
        assert all(len(ids) == len(set(ids)) for ids in by_level.values())
        return Held(
            {record.id: record.values for record in records[Level.STUDY]},
            {record.id: record.values for record in records[Level.IMAGE]},
            {record.id: record.ordinal for record in records[Level.IMAGE]},
            vectors,
            channels,
            reader.unresolved(1_000),
        )


def index_all(directory: Path, *paths: Path, ontologies: Sequence[str] = (), model: Model | None = None) -> Report:
    """Index paths as the command does."""
    return run(IndexJob(paths, directory, ontologies=tuple(ontologies), model=model))
