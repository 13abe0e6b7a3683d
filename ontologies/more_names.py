"""Names that biologists use and the ontologies lack: a small table, each row reviewed, with its source.

A name is found beside the ontology's own where its term is loaded, and is said to be Hooke's own (`OURS`). Capitals
count in a short one that has no other letters: `EM` is a method, `em` is not.
"""

import csv
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from hooke.model import TermId
from ontologies.model import Scope
from ontologies.names import normal

OURS = "hooke"
"""Stands for the ontology where a name is of this table."""
_SHORT = 5


class MoreName(NamedTuple):
    """One name of one term."""

    name: str
    term: TermId
    scope: Scope


def more_names(phrase: str, plain: str) -> tuple[MoreName, ...]:
    """The names of the table that a phrase spells; plain: its normal form."""
    found = _by_normal().get(plain, ())
    return tuple(each for each in found if not _is_abbreviation(each.name) or each.name in phrase.split())


def names_of(term: TermId) -> tuple[MoreName, ...]:
    """The names of the table that a term has."""
    return _by_term().get(term, ())


def _is_abbreviation(name: str) -> bool:
    return name.isupper() and len(name) <= _SHORT


@cache
def _by_normal() -> Mapping[str, tuple[MoreName, ...]]:
    return _grouped({row: normal(row.name) for row in _rows()})


@cache
def _by_term() -> Mapping[TermId, tuple[MoreName, ...]]:
    return _grouped({row: row.term for row in _rows()})


def _grouped(rows: Mapping[MoreName, str]) -> dict[str, tuple[MoreName, ...]]:
    groups: defaultdict[str, tuple[MoreName, ...]] = defaultdict(tuple)
    for row, group in rows.items():
        groups[group] += (row,)
    return dict(groups)


def _rows() -> list[MoreName]:
    with files("ontologies").joinpath("more_names.tsv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [MoreName(row["name"], row["term"], Scope(row["scope"])) for row in rows]
