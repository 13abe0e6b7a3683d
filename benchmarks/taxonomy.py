"""A file of the shape of the whole NCBI taxonomy: ranks, names of species, synonyms with scopes, cross-references.

The same seed gives the same file. Terms are written parents first, so that the tree is as deep as asked.
"""

import random
from collections.abc import Iterator
from pathlib import Path

DEPTH = 30
_RANKS = ("superkingdom", "kingdom", "phylum", "class", "order", "family", "subfamily", "tribe", "genus")
_SYNONYMS = (("RELATED", "synonym", 0.35), ("EXACT", "equivalent_name", 0.12), ("EXACT", "common_name", 0.03))
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
    words = _Words(terms, dice)
    # the newest term of each depth, below which the next are put: most species hang at the ends of long branches
    branch = [1]
    for number in range(2, terms + 1):
        depth = min(len(branch), DEPTH - 1, max(1, round(dice.gauss(22, 6))))
        parent = branch[depth - 1]
        branch[depth:] = [number]
        yield _frame(number, parent, depth, words)


class _Words:
    """Names as the taxonomy has them: a genus for 25 terms, an epithet for 10, a third of the species unnamed."""

    def __init__(self, terms: int, dice: random.Random) -> None:
        self.dice = dice
        self._genera = [_word(dice, 4).capitalize() for _ in range(terms // 25 + 1)]
        self._epithets = [_word(dice, 4) for _ in range(terms // 10 + 1)]

    def genus(self) -> str:
        return self.dice.choice(self._genera)

    def species(self) -> str:
        if self.dice.random() < 0.35:
            return f"{self.genus()} sp. {_word(self.dice, 1).upper()}-{self.dice.randrange(100_000)}"
        return f"{self.genus()} {self.dice.choice(self._epithets)}"


def _frame(number: int, parent: int, depth: int, words: _Words) -> str:
    dice, is_species = words.dice, depth > len(_RANKS)
    lines = [
        "[Term]",
        f"id: NCBITaxon:{number}",
        f"name: {words.species() if is_species else f'{words.genus()} {number}'}",
        "namespace: ncbi_taxonomy",
    ]
    if dice.random() < 0.05:
        lines.append(f"alt_id: NCBITaxon:{10_000_000 + number}")
    for scope, kind, share in _SYNONYMS:
        if dice.random() < share:
            lines.append(f'synonym: "{words.species()}" {scope} {kind} []')
    lines.append("xref: GC_ID:1" if dice.random() < 0.7 else f"xref: PMID:{dice.randrange(30_000_000)}")
    lines.append(f"is_a: NCBITaxon:{parent}")
    rank = "species" if is_species else _RANKS[depth - 1]
    lines.append(f"property_value: has_rank NCBITaxon:{rank}")
    return "\n".join(lines) + "\n\n"


def _word(dice: random.Random, syllables: int) -> str:
    return "".join(dice.choices(_SYLLABLES, k=syllables))
