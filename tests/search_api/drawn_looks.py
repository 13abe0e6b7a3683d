"""An index of drawn vectors, without pixels or a model: what it holds is known, so that every answer can be."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hooke.embed.base import Space
from hooke.embed.fingerprint import fingerprint, save_space
from hooke.index import new_or_existing_index
from hooke.model import Image, Level, Manifest, Mention, Method, Study, Value
from hooke.settings import DEFAULT_CLUSTER
from hooke.store.choose import open_store
from hooke.store.location import Location
from hooke.vectors.base import Block, Vectors
from hooke.vectors.place import Place, open_vectors, settle_place
from ontologies.snapshot import add_ontologies
from search_api.engine import EmbedderChoice, Engine

DIM = 12
TAXA = """format-version: 1.2
ontology: t

[Term]
id: T:0
name: root

[Term]
id: T:1
name: animal
is_a: T:0

[Term]
id: T:2
name: mouse
is_a: T:1

[Term]
id: T:3
name: human
is_a: T:1

[Term]
id: T:4
name: plant
is_a: T:0
"""
ABOVE = {"T:1": {"T:1", "T:0"}, "T:2": {"T:2", "T:1", "T:0"}, "T:3": {"T:3", "T:1", "T:0"}, "T:4": {"T:4", "T:0"}}


@dataclass(frozen=True)
class Drawn:
    """An image: its id, study, dataset, plate, term, and row."""

    id: str
    study: str
    dataset: str
    plate: str
    term: str
    row: Vectors


def draw(count: int, seed: int) -> list[Drawn]:
    """Images of some studies of very different size; some rows are alike, some the same."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(6, DIM))
    drawn: list[Drawn] = []
    for number in range(count):
        study = f"S{min(9, int(generator.exponential(2.0)))}"
        row = centres[generator.integers(6)] + generator.normal(size=DIM) * generator.choice(
            [0.0, 0.3, 2.0], p=[0.1, 0.2, 0.7]
        )
        drawn.append(
            Drawn(
                f"{study}/{number:04}",
                study,
                f"set {generator.integers(2)}",
                f"plate {generator.integers(3)}" if number % 3 else "",
                str(generator.choice(sorted(ABOVE))),
                (row / np.linalg.norm(row)).astype(np.float32),
            )
        )
    return drawn


@contextmanager
def opened(
    folder: Path, drawn: list[Drawn], location: Location | None = None, method: str = "flat"
) -> Iterator[Engine]:
    """An engine on an index of these images, ordinals in their order; in a cluster where a location is given."""
    (folder / "t.obo").write_text(TAXA)
    index = new_or_existing_index(folder / "index")
    version = add_ontologies([folder / "t.obo"], index.ontologies)
    recipe = {"model": "drawn"}
    space = Space(fingerprint(recipe), "drawn", DIM, recipe)
    save_space(space, np.ones((1, DIM), np.float32), index.spaces / f"{space.fingerprint}.json")
    if location is not None:
        settle_place(index, Place(location, method), ())
    with closing(open_store(index, DEFAULT_CLUSTER, location)) as store, store.write() as writer:
        writer.put_studies(Study(study, study) for study in sorted({image.study for image in drawn}))
        writer.put_images(_image(image) for image in drawn)
        writer.commit(Manifest(version))
        with store.read() as reader:
            ordinals = [reader.get(Level.IMAGE, image.id).ordinal for image in drawn]
        rows = np.stack([image.row for image in drawn])
        block = Block(rows, np.array(ordinals, np.uint32), np.arange(len(rows), dtype=np.uint64))
        segment = open_vectors(index, space.fingerprint, DEFAULT_CLUSTER).append(block)
        writer.commit(Manifest(version, (segment,), space.fingerprint))
    with closing(Engine(index.root, EmbedderChoice())) as engine:
        yield engine


def _image(image: Drawn) -> Image:
    mention = Mention("organism", image.term, image.term, image.term, Method.ID, 1.0)
    values = [Value("organism", image.term, (image.term,), (mention,))]
    values += [Value("plate", image.plate)] * bool(image.plate)
    return Image(image.id, image.study, image.id, image.dataset, tuple(values))
