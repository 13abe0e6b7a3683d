"""A small index with values that wait for a curator, and a curator who fills in the table of them."""

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from hooke.curation import worklist_table
from hooke.model import Level
from hooke.request import SearchRequest
from hooke.results import CurationEntry, RecordDetail
from search_api.engine import EmbedderChoice, Engine
from tests.indexer.archives import STUDY_FILE, index_all, write_ontologies

HUMAN, MOUSE, MAMMALS = "NCBITaxon:9606", "NCBITaxon:10090", "NCBITaxon:40674"
ODD = '=HYPERLINK("x"), 1;\nthe "second" line'
"""A text that a spreadsheet would run, and every character that CSV gives a meaning to."""
WELLS = (
    *[("Mus musculus", "NCBITaxon:9606")] * 2,
    *[("Mus muscullus", "")] * 3,
    *[("mutant of Mus musculus", "")] * 2,
    ("unicorn", "NCBITaxon:424242"),
    (ODD, ""),
    ("Homo sapiens", "NCBITaxon:9606"),
)
"""Organism and accession of each well: the first of plate P is A1."""
PREFIX = "idr0001/screenA/P_A"


def write_wells(folder: Path, wells: Sequence[tuple[str, str]]) -> Path:
    """An IDR study with one table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idr0001-study.txt").write_text(STUDY_FILE)
    with (folder / "idr0001-screenA-annotation.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Plate", "Well", "Characteristics [Organism]", "Term Source 1 REF", "Term Source 1 Accession"))
        for number, (organism, accession) in enumerate(wells, start=1):
            writer.writerow(("P", f"A{number}", organism, "NCBITaxon", accession))
    return folder


def build(root: Path, wells: Sequence[tuple[str, str]] = WELLS) -> Path:
    """The index of wells, and under root their archive too. Returns the index directory."""
    index_all(root / "index", write_wells(root / "archive", wells), ontologies=write_ontologies(root / "ontologies"))
    return root / "index"


def again(index: Path) -> int:
    """Index the same once more. Returns how many inputs were left as they were."""
    return index_all(index, index.parent / "archive").unchanged


def unresolved(index: Path) -> dict[str, CurationEntry]:
    with closing(Engine(index, EmbedderChoice())) as engine:
        return {entry.text: entry for entry in engine.unresolved().entries}


def conflicts(index: Path) -> dict[str, CurationEntry]:
    with closing(Engine(index, EmbedderChoice())) as engine:
        return {entry.text: entry for entry in engine.conflicts().entries}


def wells(index: Path, query: str) -> set[int]:
    """The numbers of the wells that a query finds, counted from 1."""
    with closing(Engine(index, EmbedderChoice())) as engine:
        hits = engine.search(SearchRequest(Level.IMAGE, query, limit=1000)).hits
    return {int(hit.id.removeprefix(PREFIX)) for hit in hits}


def well(index: Path, number: int) -> RecordDetail:
    with closing(Engine(index, EmbedderChoice())) as engine:
        return engine.detail(Level.IMAGE, f"{PREFIX}{number}")


def table(index: Path) -> str:
    """All that waits, as the command prints it."""
    return worklist_table([*unresolved(index).values(), *conflicts(index).values()])


def filled(printed: str, decisions: Mapping[str, str], delimiter: str = ",") -> str:
    """The table as a spreadsheet saves it, with the decisions on these texts (as the cells show them)."""
    rows = list(csv.DictReader(io.StringIO(printed, newline="")))
    assert set(decisions) <= {row["text"] for row in rows}
    saved = io.StringIO(newline="")
    writer = csv.DictWriter(saved, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows({**row, "decision": decisions.get(row["text"], row["decision"])} for row in rows)
    return saved.getvalue()
