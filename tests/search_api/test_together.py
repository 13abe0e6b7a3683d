"""`same=dataset`: one dataset or image of a study has all that is asked, not one this and another that."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hooke
from hooke.index import IndexDirectory, new_or_existing_index
from hooke.inherit import OF_IMAGES
from hooke.model import Dataset, Image, Level, Manifest, Mention, Method, Study, Value
from hooke.request import FacetRequest, Filter, SearchRequest
from hooke.store.location import Location
from hooke.store.move import move_to_cluster
from hooke.store.sqlite import SqliteStore
from search_api.engine import EmbedderChoice, Engine
from tests.elasticsearch_index import emptied
from tests.search_api.conftest import SHARDED
from tests.small_index import shared_index

MOUSE, HUMAN = Value("strain", "mouse"), Value("strain", "human")
LIGHT, ELECTRON = Value("modality", "light"), Value("modality", "electron")


def with_datasets(name: str, *datasets: tuple[Value, ...]) -> Study:
    every = tuple(dict.fromkeys(value for values in datasets for value in values))
    return Study(name, "Things", every, tuple(Dataset(f"part{n}", values) for n, values in enumerate(datasets)))


STUDIES = (
    with_datasets("apart", (MOUSE, LIGHT), (HUMAN, ELECTRON)),
    with_datasets("together", (MOUSE, ELECTRON), (HUMAN, LIGHT)),
    with_datasets("alone", (MOUSE, HUMAN, LIGHT, ELECTRON)),
    Study("plain", "Things", (MOUSE, ELECTRON)),
    with_datasets("shown", (MOUSE, LIGHT), (HUMAN, LIGHT)),
)
IMAGES = (
    Image("shown/1", "shown", "one", "part0", (ELECTRON,)),
    Image("shown/2", "shown", "two", "part1", ()),
    Image("apart/1", "apart", "one", "part0", ()),
)


def written(root: Path, studies: Sequence[Study], images: Sequence[Image]) -> IndexDirectory:
    """An index of records whose values name no terms; it has the ontologies of the small index."""
    made, known = new_or_existing_index(root), IndexDirectory(shared_index())
    made.ontologies.symlink_to(known.ontologies)
    with closing(SqliteStore(known.metadata)) as store, store.read() as reader:
        version = reader.snapshot.manifest.ontologies
    with closing(SqliteStore(made.metadata)) as store, store.write() as writer:
        writer.put_studies(studies)
        writer.put_images(images)
        writer.commit(Manifest(version))
    return made


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = written(tmp_path_factory.mktemp("together") / "index", STUDIES, IMAGES)
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        yield engine


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, elasticsearch_url: str) -> Iterator[Engine]:
    made = written(tmp_path_factory.mktemp("together-clustered") / "index", STUDIES, IMAGES)
    location = Location((elasticsearch_url,), f"together-{uuid4().hex[:12]}")
    with emptied(location):
        move_to_cluster(made, location, SHARDED, lambda *_: None)
        with closing(Engine(made.root, EmbedderChoice(), SHARDED)) as engine:
            yield engine


@pytest.fixture(params=["embedded", "clustered"])
def found(request: pytest.FixtureRequest) -> Callable[..., set[str]]:
    engine: Engine = request.getfixturevalue(request.param)

    def ask(text: str = "", *filters: Filter, same: bool = True) -> set[str]:
        result = engine.search(SearchRequest(Level.STUDY, text, filters, same_dataset=same))
        assert result.total == len(result.hits)
        return {hit.id for hit in result.hits}

    return ask


def test_the_strain_of_one_dataset_is_not_paired_with_the_method_of_another(found: Callable[..., set[str]]) -> None:
    both = Filter("strain", ("mouse",)), Filter("modality", ("electron",))
    assert found("", *both, same=False) == {"apart", "together", "alone", "plain"}
    assert found("", *both) == {"together", "alone", "plain", "shown"}
    assert found("strain:mouse electron") == found("", *both)


def test_a_not_is_asked_of_the_same_dataset(found: Callable[..., set[str]]) -> None:
    assert found("strain:mouse NOT modality:electron", same=False) == {"shown"}
    assert found("strain:mouse NOT modality:electron") == {"apart", "shown"}


def test_everything_is_found_by_no_condition(found: Callable[..., set[str]]) -> None:
    assert found() == {study.id for study in STUDIES}


def test_a_dataset_is_found_by_its_name_and_by_what_is_said_of_the_study(found: Callable[..., set[str]]) -> None:
    assert found("things strain:human") == {"apart", "together", "alone", "shown"}
    assert found("dataset:part1 strain:mouse") == set()


def test_a_facet_counts_what_can_be_chosen_beside_the_other_choices(embedded: Engine) -> None:
    chosen = (Filter("strain", ("mouse",)), Filter("modality", ("electron",)))
    request = SearchRequest(Level.STUDY, "", chosen, facets=("strain", "modality"), same_dataset=True)
    facets = embedded.search(request).facets
    for field, value in product(facets, ("mouse", "human", "light", "electron")):
        others = tuple(f for f in chosen if f.field != field)
        alone = embedded.search(SearchRequest(Level.STUDY, "", others, same_dataset=True))
        level = embedded.facet(FacetRequest(field, search=request))
        assert level.total == alone.total
        counted = {each.id: each.count for each in facets[field]}
        assert {each.id: each.count for each in level.values} == counted
        with_value = [hit.id for hit in alone.hits if value in _texts(embedded, hit.id, field)]
        assert counted.get(value, 0) == len(with_value)


def _texts(engine: Engine, study: str, field: str) -> set[str]:
    return {str(value["text"]) for value in engine.detail(Level.STUDY, study).values if value["field"] == field}


def test_what_a_folder_says_of_its_images_together_is_no_dataset(tmp_path: Path) -> None:
    every = Study(
        "F", "Folder", (MOUSE, HUMAN, LIGHT, ELECTRON), (Dataset(OF_IMAGES, (MOUSE, HUMAN, LIGHT, ELECTRON)),)
    )
    images = (Image("F/1", "F", "one", None, (MOUSE, LIGHT)), Image("F/2", "F", "two", None, (HUMAN, ELECTRON)))
    made = written(tmp_path / "index", (every,), images)
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        for text, expected in (("strain:mouse modality:light", ["F"]), ("strain:mouse modality:electron", [])):
            found = engine.search(SearchRequest(Level.STUDY, text, same_dataset=True))
            assert [hit.id for hit in found.hits] == expected


def test_what_a_study_says_of_all_its_datasets_is_said_of_each(tmp_path: Path) -> None:
    told = Value(
        "biological_process",
        "mitosis",
        (),
        (Mention("biological_process", "mitosis", "GO:1", "mitosis", Method.TEXT, 0.8),),
    )
    shown = Value("phenotype", "round")
    study = with_datasets("S", (MOUSE, LIGHT), (HUMAN, ELECTRON))
    made = written(tmp_path / "index", (replace(study, title="Dividing", values=(*study.values, told, shown)),), ())
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        for text in ("mitosis", "phenotype:round", "dividing", "phenotype:round strain:mouse dividing"):
            assert engine.search(SearchRequest(Level.STUDY, text, same_dataset=True)).total == 1, text


def test_a_word_that_stands_for_too_many_words_of_images_is_asked_of_datasets_alone(tmp_path: Path) -> None:
    images = [Image(f"plain/{n}", "plain", f"mo{n}x", None, ()) for n in range(500)]
    made = written(tmp_path / "index", STUDIES[3:4], images)
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        found = engine.search(SearchRequest(Level.STUDY, "mo*", same_dataset=True))
    assert found.total == 1
    assert any("400 words" in notice for notice in found.query.notices)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    made = written(tmp_path / "index", STUDIES, IMAGES)
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        engine.search(SearchRequest(Level.STUDY, "mouse", same_dataset=True))
        assert list((tmp_path / "temporary").iterdir())
    assert not list((tmp_path / "temporary").iterdir())


def test_a_field_that_no_image_has_is_not_read_as_words_of_images(tmp_path: Path) -> None:
    named = Image("plain/1", "plain", "of a stage adult", None, ())
    staged = Study("staged", "Things", (Value("stage", "adult"),))
    made = written(tmp_path / "index", (STUDIES[3], staged), (named,))
    with closing(Engine(made.root, EmbedderChoice())) as engine:
        hits = engine.search(SearchRequest(Level.STUDY, "stage:adult", same_dataset=True)).hits
    assert [hit.id for hit in hits] == ["staged"]


def test_images_have_all_of_it_themselves(embedded: Engine) -> None:
    request = SearchRequest(Level.IMAGE, "strain:mouse modality:light")
    assert embedded.search(request).hits
    same = embedded.search(SearchRequest(Level.IMAGE, request.text, same_dataset=True))
    assert same.hits == embedded.search(request).hits


def test_a_notebook_asks_so_too(tmp_path: Path) -> None:
    made = written(tmp_path / "index", STUDIES, IMAGES)
    with hooke.connect(made.root) as archive:
        assert {hit.id for hit in archive.search(strain="mouse", modality="electron", same="dataset")} == {
            "together",
            "alone",
            "plain",
            "shown",
        }
        assert archive.facet("modality", strain="human", same="dataset").total == 4


values = st.frozensets(st.sampled_from((MOUSE, HUMAN, LIGHT, ELECTRON)), max_size=3).map(lambda found: tuple(found))
drawn = st.lists(st.lists(values, max_size=3), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(drawn, st.sampled_from(("strain:mouse modality:light", "strain:human NOT modality:light", "NOT strain:mouse")))
def test_it_is_what_looking_at_each_dataset_gives(parts: list[list[tuple[Value, ...]]], text: str) -> None:
    studies = [with_datasets(f"S{n}", *datasets) for n, datasets in enumerate(parts)]
    with tempfile.TemporaryDirectory() as folder:
        # a field is one where a record has it
        made = written(Path(folder) / "index", [*studies, with_datasets("every", (MOUSE, HUMAN, LIGHT))], ())
        with closing(Engine(made.root, EmbedderChoice())) as engine:
            hits = engine.search(SearchRequest(Level.STUDY, text, same_dataset=True)).hits
    expected = {s.id for s, datasets in zip(studies, parts, strict=True) if any(map(_holds(text), datasets or [()]))}
    assert {hit.id for hit in hits} - {"every"} == expected


def _holds(text: str) -> Callable[[tuple[Value, ...]], bool]:
    wanted = [part for part in text.replace("NOT ", "-").split()]

    def holds(values: tuple[Value, ...]) -> bool:
        said = {f"{value.field}:{value.text}" for value in values}
        return all(part[1:] not in said if part.startswith("-") else part in said for part in wanted)

    return holds
