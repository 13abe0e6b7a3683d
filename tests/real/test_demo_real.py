"""The facts written for the demo archive equal those of the ontologies that they are taken from."""

from pathlib import Path

import pytest

from hooke.model import IS_A
from hooke.settings import read_settings
from indexer.demo.archive import IMAGING_METHODS, TAXA
from ontologies.load import load
from ontologies.model import Ontology


def original(name: str) -> Ontology:
    path = read_settings().shared_data / "ontologies" / name
    if not path.exists():
        pytest.skip(f"shared data is not here: {path}")
    return load(path)


@pytest.mark.parametrize(("facts", "source"), [(IMAGING_METHODS, "fbbi.obo.gz"), (TAXA, "ncbitaxon-taxslim.obo.gz")])
def test_names_and_edges_are_those_of_the_original_up_to_the_root(facts: Path, source: str) -> None:
    ours, theirs = load(facts), original(source)
    ids = {term.id for term in ours.terms}
    current = {term.id: term for term in theirs.terms if not term.obsolete}
    assert {term.id: term.label for term in ours.terms} == {i: current[i].label for i in sorted(ids)}
    assert set(ours.edges) == {edge for edge in theirs.edges if edge[0] in ids and edge[1] == IS_A}
    for term in ours.terms:
        assert set(term.synonyms) <= set(current[term.id].synonyms)
