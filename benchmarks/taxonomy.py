"""A file of the shape of the whole NCBI taxonomy: ranks, names of species, synonyms with scopes, cross-references.

The same seed gives the same file. Terms are written parents first, so that the tree is as deep as asked.
"""

import random
from collections.abc import Iterator
from pathlib import Path

DEPTH = 30
_RANKS = ("superkingdom", "kingdom", "phylum", "class", "order", "family", "subfamily", "tribe", "genus")
_SYLLABLES = tuple(a + b for a in "bcdfglmnprstv" for b in ("a", "e", "i", "o", "u", "or", "us", "yl"))
_HEADER = """format-version: 1.2
data-version: 2026-11-21
synonymtypedef: synonym "synonym"
synonymtypedef: equivalent_name "equivalent name"
synonymtypedef: common_name "common name"
ontology: ncbitaxon

"""


def write_taxonomy(path: Path, terms: int, seed: int = 0) -> None:
    """Write so many terms as an OBO file."""
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        file.writelines(_frames(terms, random.Random(seed)))
        file.write("[Typedef]\nid: has_rank\nname: has taxonomic rank\nis_metadata_tag: true\n")


def _frames(terms: int, dice: random.Random) -> Iterator[str]:
    yield "[Term]\nid: NCBITaxon:1\nname: root\nnamespace: ncbi_taxonomy\n\n"
    # a term of each depth below which the next are put: most species hang at the ends of long branches
    branch = [1]
    for number in range(2, terms + 1):
        depth = min(len(branch), DEPTH - 1, max(1, round(dice.gauss(22, 6))))
        parent = branch[depth - 1]
        branch[depth:] = [number]
        yield _frame(number, parent, depth, dice)


def _frame(number: int, parent: int, depth: int, dice: random.Random) -> str:
    is_species = depth > len(_RANKS)
    genus = _word(dice, 3).capitalize()
    name = f"{genus} {_word(dice, 4)}" if is_species else genus
    lines = [
        "[Term]",
        f"id: NCBITaxon:{number}",
        f"name: {name} {number}" if dice.random() < 0.3 else f"name: {name}",
        "namespace: ncbi_taxonomy",
    ]
    if dice.random() < 0.25:
        lines.append(f"alt_id: NCBITaxon:{10_000_000 + number}")
    for scope, kind, share in (
        ("RELATED", "synonym", 0.35),
        ("EXACT", "equivalent_name", 0.12),
        ("EXACT", "common_name", 0.03),
    ):
        if dice.random() < share:
            lines.append(f'synonym: "{_word(dice, 3).capitalize()} {_word(dice, 4)}" {scope} {kind} []')
    lines.append("xref: GC_ID:1" if dice.random() < 0.7 else f"xref: PMID:{dice.randrange(30_000_000)}")
    lines.append(f"is_a: NCBITaxon:{parent}")
    rank = "species" if is_species else _RANKS[depth - 1]
    lines.append(f"property_value: has_rank NCBITaxon:{rank}")
    return "\n".join(lines) + "\n\n"


def _word(dice: random.Random, syllables: int) -> str:
    return "".join(dice.choices(_SYLLABLES, k=syllables))
