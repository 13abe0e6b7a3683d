"""One small index, built as users build theirs: written ontologies, a folder of drawn images, an IDR study file."""

import functools
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image

from hooke.embed.timm import DEFAULT_MODEL
from hooke.settings import Settings, read_settings
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.app import create_app
from search_api.engine import Engine

ORGANISMS = """format-version: 1.2
data-version: 2026-01-01
ontology: ncbitaxon

[Term]
id: NCBITaxon:2759
name: Eukaryota

[Term]
id: NCBITaxon:40674
name: Mammalia
synonym: "mammals" EXACT []
is_a: NCBITaxon:2759

[Term]
id: NCBITaxon:9989
name: Rodentia
synonym: "rodents" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:10090
name: Mus musculus
alt_id: NCBITaxon:85055
synonym: "mouse" EXACT []
synonym: "house mouse" EXACT []
is_a: NCBITaxon:9989

[Term]
id: NCBITaxon:9606
name: Homo sapiens
synonym: "human" EXACT []
is_a: NCBITaxon:40674

[Term]
id: NCBITaxon:4751
name: Fungi
is_a: NCBITaxon:2759

[Term]
id: NCBITaxon:4932
name: Saccharomyces cerevisiae
synonym: "baker's yeast" EXACT []
is_a: NCBITaxon:4751

[Term]
id: NCBITaxon:41870
name: obsolete yeast
is_obsolete: true
replaced_by: NCBITaxon:4932

[Term]
id: NCBITaxon:41871
name: obsolete rodent
is_obsolete: true
consider: NCBITaxon:9989
"""

METHODS = """format-version: 1.2
data-version: 2026-01-01
ontology: fbbi

[Term]
id: FBbi:00000222
name: imaging method

[Term]
id: FBbi:00000345
name: light microscopy
is_a: FBbi:00000222

[Term]
id: FBbi:00000246
name: fluorescence microscopy
synonym: "epifluorescence" EXACT []
is_a: FBbi:00000345

[Term]
id: FBbi:00000251
name: confocal microscopy
is_a: FBbi:00000246

[Term]
id: FBbi:00000256
name: electron microscopy
is_a: FBbi:00000222

[Term]
id: FBbi:00000258
name: transmission electron microscopy
synonym: "TEM" EXACT []
is_a: FBbi:00000256
"""

ANATOMY = """format-version: 1.2
data-version: 2026-01-01
ontology: uberon

[Term]
id: UBERON:0000062
name: organ

[Term]
id: UBERON:0000955
name: brain
is_a: UBERON:0000062

[Term]
id: UBERON:0000956
name: cerebral cortex
relationship: part_of UBERON:0000955 ! brain

[Term]
id: UBERON:0000948
name: heart
is_a: UBERON:0000062

[Typedef]
id: part_of
name: part of
xref: BFO:0000050
"""

CELLS = """{"CL_0000000":{"ancestors":{},"label":"cell","deprecated":false},
"CL_0000540":{"ancestors":{"CL_0000000":1},"label":"neuron","synonyms":["nerve cell"],"deprecated":false},
"CL_0000598":{"ancestors":{"CL_0000540":1,"CL_0000000":2},"label":"pyramidal neuron","deprecated":false}}"""

IDR_STUDY = """Comment[IDR Study Accession]\tidr9001
Study Title\tKinesins at the spindle of p53 mutants
Study Description\tA screen for <b>spindle</b> defects; the human genome was searched
Study Key Words\tmitosis\tkinesin
Study Organism\tHomo sapiens
Study Organism Term Source REF\tNCBITaxon
Study Organism Term Accession\t9606
Study Public Release Date\t2020-03-03
Study License\tCC BY 4.0

Screen Number\t1
Comment[IDR Screen Name]\tidr9001-stojic-kinesins/screenA
Screen Imaging Method\tconfocal microscopy
Screen Imaging Method Term Source REF\tFbbi
Screen Imaging Method Term Accession\tFBbi_00000251
"""

PREFIXED_WORDS = 410
"""More words that begin alike than one prefix may stand for."""

WITHOUT_PIXELS = 30
_TERM_COLUMNS = ("organism", "organism_id", "imaging_method", "anatomy", "cell_type")
COLUMNS = ("path", "study", "title", *_TERM_COLUMNS, "gene", "size_x", "acquired", "notes")


def _row(path: str, study: str, title: str, organism: str = "", **cells: str) -> tuple[str, ...]:
    cells |= {"path": path, "study": study, "title": title, "organism": organism}
    return tuple(cells.get(column, "") for column in COLUMNS)


PICTURES = (
    _row(
        "plain.png",
        "mice",
        "Cortex",
        "Mus musculus",
        organism_id="10090",
        imaging_method="confocal microscopy",
        anatomy="cerebral cortex",
        cell_type="pyramidal neuron",
        gene="Trp53",
        size_x="512",
        acquired="2021-05-30",
        notes="at 10:30 nucleus: DAPI",
    ),
    _row(
        "a b.png",
        "mice",
        "Two words",
        "mouse",
        imaging_method="fluorescence microscopy",
        anatomy="brain",
        cell_type="neuron",
        gene="Trp53",
        size_x="1024",
        acquired="2021-06-30",
        notes="nucleus DAPI",
    ),
    _row(
        "100%.png",
        "mice",
        "Per cent",
        "house mouse",
        imaging_method="light microscopy",
        anatomy="heart",
        gene="Actb",
        size_x="256",
    ),
    _row(
        "what?.png",
        "mice",
        "Question",
        "Mus musculus",
        organism_id="NCBITaxon:85055",
        imaging_method="TEM",
        gene="Actb",
        size_x="2048",
    ),
    _row(
        "tag#1.png",
        "people",
        "Hash",
        "Homo sapiens",
        organism_id="9606",
        imaging_method="epifluorescence",
        anatomy="brain",
        gene="TP53",
        size_x="512",
        acquired="2019-01-01",
        notes="fluorescence of the human brain",
    ),
    _row(
        "é ü.png",
        "people",
        "Accents <i>in</i> Müller cells",
        "human",
        imaging_method="confocal microscopy",
        anatomy="heart",
        gene="TP53",
        size_x="17",
        acquired="2020-01-01",
    ),
    _row("deep/er/one.png", "people", "In a folder", "Homo sapiens", imaging_method="electron microscopy"),
    _row("plus+and&.png", "people", "Plus", "Homo sapiens", imaging_method="fluorescence microscopy", notes="light"),
    _row(
        "yeast1.png",
        "yeasts",
        "Budding",
        "Saccharomyces cerevisiae",
        imaging_method="light microscopy",
        gene="CDC28",
        size_x="512",
        notes="microscopy with light",
    ),
    _row(
        "yeast2.tif",
        "yeasts",
        "Obsolete id",
        "yeast",
        organism_id="NCBITaxon:41870",
        imaging_method="light microscopy",
        gene="CDC28",
        size_x="512",
    ),
    _row("yeast3.jpg", "yeasts", "No organism", notes="mouse antibody"),
    _row(
        "words.png",
        "yeasts",
        "Many words",
        "Fungi",
        notes=" ".join(f"qz{number:03d}" for number in range(PREFIXED_WORDS)),
    ),
)
"""Image files with their rows; the rest of the manifest names files that do not exist."""


def image_id(name: str) -> str:
    """The id of a picture by its file name."""
    return next(f"{row[1]}/{row[0]}" for row in PICTURES if row[0] == name)


def picture(seed: int, size: int = 64) -> Image.Image:
    """A drawing of coloured blocks."""
    coarse = np.random.default_rng(seed).integers(0, 250, (size // 8, size // 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1))


def write_archive(root: Path) -> tuple[Path, ...]:
    """The folder and the study file, ready to index."""
    folder = root / "pictures"
    rows = [*PICTURES, *(_without_pixels(number) for number in range(WITHOUT_PIXELS))]
    for seed, row in enumerate(PICTURES):
        path = folder / row[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(path)
    lines = ["\t".join(COLUMNS), *("\t".join(row) for row in rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    study = root / "idr9001-study.txt"
    study.write_text(IDR_STUDY, encoding="utf-8")
    return folder, study


def _without_pixels(number: int) -> tuple[str, ...]:
    organism = ("Mus musculus", "Homo sapiens", "Saccharomyces cerevisiae")[number % 3]
    return _row(f"lost/{number:02d}.png", "lost", f"Lost {number}", organism, size_x=str(number), notes="lost")


def write_ontologies(root: Path) -> tuple[str, ...]:
    """The ontology files, of a source that does not tell is_a from part_of too."""
    files = {
        "ncbitaxon.obo": ORGANISMS,
        "fbbi.obo": METHODS,
        "uberon.obo": ANATOMY,
        "CL-ontology-v2026-01-01.json": CELLS,
    }
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return tuple(str(root / name) for name in files)


def build(root: Path, model: Model | None = None) -> Path:
    """An index of it all under root. Returns the index directory."""
    paths, ontologies = write_archive(root), write_ontologies(root)
    directory = root / "index"
    run(IndexJob(paths, directory, None, ontologies, model))
    return directory


@functools.cache
def shared_index() -> Path:
    """The index that every test of a session reads and none changes; removed when the process ends."""
    root = tempfile.TemporaryDirectory(prefix="hooke-index-")
    _kept.append(root)
    return build(Path(root.name), Model(DEFAULT_MODEL))


_kept: list[tempfile.TemporaryDirectory[str]] = []


def small_uploads(**limits: int) -> Settings:
    """The settings of a server whose uploads are bounded tightly."""
    return replace(read_settings(), **limits)  # type: ignore[arg-type]  # the names and types of Settings' own limits


@contextmanager
def serving(engine: Engine, settings: Settings | None = None) -> Iterator[str]:
    """A server on a free port, in a thread. Gives its URL."""
    app = create_app(engine, settings or read_settings())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
