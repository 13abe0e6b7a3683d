"""The archives' files read directly, with nothing of Hooke's: what the tests of the real index count against."""

import csv
import gzip
import io
import json
import re
import tarfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_ID = re.compile(r"([A-Za-z]+)[_:](\d+)$")


def words(text: str) -> set[str]:
    """The whole words of a text, without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return set(re.findall(r"[^\W_]+", plain))


def term_id(identifier: str) -> str:
    """`PREFIX:NUMBER` of an id in any of the crates' spellings; SSBD pads its taxa with zeros."""
    found = _ID.search(identifier)
    if not found:
        return ""
    prefix, number = found.groups()
    return f"{prefix}:{number.lstrip('0') if prefix == 'NCBITaxon' else number}"


@dataclass(frozen=True)
class Obo:
    """Parents over is_a and part_of, names, and the ids that stand for a term."""

    parents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """The label first, then the synonyms."""
    replaced: dict[str, str] = field(default_factory=dict)

    @cached_property
    def children(self) -> dict[str, set[str]]:
        children = defaultdict(set)
        for child, parents in self.parents.items():
            for parent in parents:
                children[parent].add(child)
        return children

    @cached_property
    def labels(self) -> dict[str, str]:
        """Terms by label."""
        return {names[0]: term for term, names in self.names.items()}

    def labelled(self, label: str) -> str:
        """The one term of a label."""
        (term,) = [term for term, names in self.names.items() if names[0].casefold() == label.casefold()]
        return term

    def below(self, term: str) -> set[str]:
        """The term and all below it, under every id that stands for one of them."""
        return self._reached(term, self.children) | {
            old for old, new in self.replaced.items() if new in self._reached(term, self.children)
        }

    def above(self, term: str) -> set[str]:
        """The term and all above it."""
        return self._reached(term, self.parents)

    @staticmethod
    def _reached(term: str, edges: dict[str, set[str]]) -> set[str]:
        found, waiting = {term}, [term]
        while waiting:
            fresh = edges.get(waiting.pop(), set()) - found
            found |= fresh
            waiting.extend(fresh)
        return found


def read_obo(path: Path) -> Obo:
    """The terms of a gzipped OBO file."""
    obo = Obo()
    for stanza in gzip.decompress(path.read_bytes()).decode().split("\n[")[1:]:
        if not stanza.startswith("Term]"):
            continue
        lines = [line.partition(": ") for line in stanza.splitlines()]
        term = next(value for tag, _, value in lines if tag == "id").strip()
        for tag, _, value in lines:
            if tag == "name":
                obo.names[term].insert(0, value)
            elif tag == "synonym":
                obo.names[term].append(value.split('"')[1])
            elif tag == "is_a":
                obo.parents[term].add(value.split()[0])
            elif tag == "relationship" and value.split()[0] in ("part_of", "BFO:0000050"):
                obo.parents[term].add(value.split()[1])
            elif tag == "alt_id":
                obo.replaced[value.split()[0]] = term
            elif tag == "replaced_by":
                obo.replaced[term] = value.split()[0]
    return obo


@dataclass(frozen=True)
class Crate:
    """A study record: what the issue counts in, and all the texts there are."""

    id: str
    prose: str
    terms: frozenset[str]
    year: str
    everything: tuple[str, ...]


def read_crates(archive: Path) -> dict[str, Crate]:
    """Every crate of the archive by its accession."""
    return {crate.id: crate for _, content in members(archive) for crate in [_crate(json.loads(content)["@graph"])]}


def _crate(graph: list[dict[str, object]]) -> Crate:
    root = next(node for node in graph if "identifier" in node)
    keywords = _listed(root.get("keywords"))
    refs = [*_listed(root.get("about")), *_listed(root.get("measurementMethod"))]
    terms = {term_id(str(ref["@id"])) for ref in refs if isinstance(ref, dict)}
    return Crate(
        str(root["identifier"]),
        " ".join([str(root["name"]), str(root["description"]), *map(str, keywords)]),
        frozenset(terms - {""}),
        str(root["datePublished"])[:4],
        tuple(_leaves(graph)),
    )


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    else:
        yield str(value)


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files in a tar by name."""
    with tarfile.open(archive) as opened:
        for member in opened:
            raw = opened.extractfile(member)
            if raw:
                yield member.name, raw.read()


def read_study_files(archive: Path) -> dict[str, str]:
    """The text of every IDR study file by its accession."""
    files = {}
    for name, content in members(archive):
        # accession of the folder's own study: some names hold that of an earlier version first
        accession = re.findall(r"idr\d{4}", name)[-1]
        try:
            files[accession] = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            files[accession] = content.decode("mac_roman" if b"\x9f" in content else "cp1252", errors="replace")
    return files


@dataclass(frozen=True)
class Table:
    """An annotation table: its study and dataset, its header, and its rows by the id of their image."""

    study: str
    dataset: str
    header: tuple[str, ...]
    rows: dict[str, list[str]]

    def columns(self, pattern: str) -> list[int]:
        """The positions of the columns whose label matches whole."""
        return [n for n, label in enumerate(self.header) if re.fullmatch(pattern, label)]


def read_tables(folder: Path) -> list[Table]:
    """Every annotation table of a folder."""
    return [_table(path) for path in sorted(folder.glob("*.csv.gz"))]


def _table(path: Path) -> Table:
    study, dataset = re.findall(r"idr\d{4}|(?:screen|experiment)[A-Z]?", path.name)[:2]
    if not study.startswith("idr"):
        study, dataset = dataset, study
    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    labels = tuple(label.strip() for label in header)
    by_plate = "Plate" in labels
    naming = [labels.index(name) for name in (("Plate", "Well") if by_plate else ("Dataset Name", "Image Name"))]
    named: dict[str, list[str]] = {}
    for row in rows:
        parts = [part for n in naming if (part := " ".join(row[n].split()).strip("/ "))]
        identifier = f"{study}/{dataset}/{('_' if by_plate else '/').join(parts)}"
        again = sum(1 for n in range(2, 1000) if f"{identifier}#{n}" in named) + 2 if identifier in named else 1
        named[identifier if again == 1 else f"{identifier}#{again}"] = row
    return Table(study, dataset, labels, named)
