"""What users can ask of look-alikes, on real images: each labelled collection as a study of its own."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hooke.embed.timm import DEFAULT_MODEL
from hooke.model import Level
from hooke.request import LookOptions, SearchRequest
from hooke.results import SimilarResult
from indexer.embedding import Model
from indexer.pipeline import IndexJob, run
from search_api.engine import EmbedderChoice, Engine, Example

OF_EACH = 10
NUCLEI = {"dsb2018", "hepg2_huh7", "nf1_cellpainting"}
"""Collections of fluorescent nuclei: alike, and not by chance."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def engine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    root = tmp_path_factory.mktemp("asks")
    folders = []
    for collection in sorted(each for each in (shared_data / "images" / "labelled").iterdir() if each.is_dir()):
        images = sorted(path for path in collection.rglob("*") if path.is_file())
        folder = root / collection.name
        folder.mkdir()
        for path in images[:: max(1, len(images) // OF_EACH)][:OF_EACH]:
            shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
        folders.append(folder)
    run(IndexJob(tuple(folders), root / "index", None, (), Model(DEFAULT_MODEL)))
    with closing(Engine(root / "index", EmbedderChoice())) as opened:
        yield opened


@pytest.fixture(scope="module")
def images(engine: Engine) -> list[str]:
    return [hit.id for hit in engine.search(SearchRequest(Level.IMAGE, limit=1000)).hits]


def like(engine: Engine, image: str, k: int, options: LookOptions) -> SimilarResult:
    return engine.similar(Example(images=(image,)), SearchRequest(Level.IMAGE, limit=k), options)


def same_kind(image: str, study: str) -> bool:
    own = image.partition("/")[0]
    return study == own or {study, own} <= NUCLEI


def test_what_is_called_meaningful_is_of_the_same_kind(engine: Engine, images: list[str]) -> None:
    """And rarely called so where nothing of its kind is left: the nearest are then as alike as chance makes them."""
    found = {image: like(engine, image, 20, LookOptions()) for image in images}
    judged = {image: answer.hits[: answer.meaningful] for image, answer in found.items()}
    assert sum(map(bool, judged.values())) >= 0.4 * len(images)
    hits = [(image, hit) for image, some in judged.items() for hit in some]
    assert sum(same_kind(image, hit.study_id) for image, hit in hits) >= 0.95 * len(hits)
    others = [image for image in images if image.partition("/")[0] not in NUCLEI]
    elsewhere = [like(engine, image, 20, LookOptions(exclude="study")).meaningful for image in others]
    assert sum(map(bool, elsewhere)) <= 0.1 * len(others)


def test_the_best_of_each_collection_is_its_first_in_the_whole_ranking(engine: Engine, images: list[str]) -> None:
    for image in images[::10]:
        firsts: dict[str, str] = {}
        for hit in like(engine, image, len(images), LookOptions()).hits:
            firsts.setdefault(hit.study_id, hit.id)
        grouped = like(engine, image, 6, LookOptions(by_study=True))
        assert [hit.id for hit in grouped.hits] == list(firsts.values())[:6]
