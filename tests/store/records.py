"""Made-up records, as many as a test wants, and what a store holds of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hooke.model import Dataset, Image, Level, Manifest, Mention, Method, Pixels, Study, Value
from hooke.store.base import EVERYTHING, MetadataReader, MetadataStore, Stored

STUDIES = 8
FACETS = ("organism", "gene", "channel")
ORGANISMS = ("Mus musculus", "Homo sapiens", "Danio rerio", "Saccharomyces cerevisiae")
MANIFEST = Manifest("v1")


def organism(number: int) -> Value:
    name = ORGANISMS[number % len(ORGANISMS)]
    term = f"NCBITaxon:{number % len(ORGANISMS)}"
    return Value("organism", name, (), (Mention("organism", name, term, name, Method.LABEL, 1.0),))


def study(number: int) -> Study:
    values = (organism(number), Value("description", f"What was done in study {number}, at length"))
    return Study(f"S{number}", f"Study {number}", values, (Dataset("A", (Value("channel", "DAPI"),)),), ("idr",))


def image(number: int, *, note: str = "as it was") -> Image:
    """One of an endless series; every sixteenth says another organism than its study."""
    owner = f"S{number % STUDIES}"
    values = (Value("gene", f"G{number % 37}"), Value("size_x", str(number)), Value("notes", note))
    own = (organism(number + 1),) if number % 16 == 0 else ()
    return Image(f"{owner}/{number:06d}", owner, f"Image {number}", "A", (*values, *own), Pixels(f"/data/{number}.tif"))


def unacceptable(number: int) -> Image:
    """An image that Elasticsearch refuses: its path is longer than 32,766 bytes, the longest term of Lucene."""
    owner = f"S{number % STUDIES}"
    return Image(f"{owner}/{number:06d}", owner, f"Image {number}", "A", (), Pixels("/" + "x" * 40_000))


def images(count: int) -> Iterator[Image]:
    return map(image, range(count))


def load(store: MetadataStore, count: int) -> None:
    """All studies and so many images, in one commit."""
    with store.write() as writer:
        writer.put_studies(map(study, range(STUDIES)))
        writer.put_images(images(count))
        assert writer.refused() == ()
        writer.commit(MANIFEST)


@dataclass(frozen=True)
class Held:
    """What a store says of all its records."""

    studies: Sequence[Stored]
    images: Sequence[Stored]
    totals: Sequence[int]
    counts: Mapping[str, Mapping[tuple[object, ...], int]]


def held(store: MetadataStore) -> Held:
    with store.read() as reader:
        return Held(
            list(reader.stored(Level.STUDY)),
            list(reader.stored(Level.IMAGE)),
            [len(reader.ordinals(level, EVERYTHING)) for level in Level],
            {f"{level} {field}": counts(reader, level, field) for level in Level for field in FACETS},
        )


def counts(reader: MetadataReader, level: Level, field: str) -> dict[tuple[object, ...], int]:
    """How many records have each set of values of a field."""
    (found,) = reader.count_sets(level, [field], EVERYTHING)
    sets = reader.value_sets(level, field)
    return {(s.terms, s.values): int(count) for s, count in zip(sets, found, strict=True) if count}
