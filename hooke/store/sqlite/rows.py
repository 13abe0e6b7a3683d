"""Studies and images as rows, and back."""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hooke.inherit import effective_values, image_values, inherited_values, study_values
from hooke.model import Dataset, Image, Level, Pixels, Record, Study, Value
from hooke.store.sqlite.cells import load_values


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study with its ordinal; `live` is false for a deleted one, whose ordinal waits for its return."""

    ordinal: int
    study: Study
    live: bool


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image with its ordinal and its study's."""

    ordinal: int
    study_ordinal: int
    image: Image
    live: bool


def cells_blob(numbers: Iterable[int]) -> bytes:
    """Cell ids as stored."""
    return array("i", numbers).tobytes()


def cell_ids(cells: bytes) -> list[int]:
    """Stored cell ids."""
    return array("i", cells).tolist()


def select_studies(connection: sqlite3.Connection, column: str, keys: Sequence[str] | Sequence[int]) -> list[StudyRow]:
    """Studies, live or not, whose `column` (`id` or `ord`) is among the keys."""
    rows = connection.execute(
        f"SELECT s.* FROM json_each(?) j JOIN studies s ON s.{column} = j.value", (json.dumps(keys),)
    ).fetchall()
    parts = [json.loads(row[4]) for row in rows]
    needed = {n for row in rows for n in cell_ids(row[5])} | {n for part in parts for _, cells in part for n in cells}
    values = load_values(connection, needed)
    return [_study(row, part, values) for row, part in zip(rows, parts, strict=True)]


def _study(
    row: tuple[int, str, str, str, str, bytes, int], parts: list[tuple[str, list[int]]], values: dict[int, Value]
) -> StudyRow:
    ordinal, study_id, title, origins, _, cells, live = row
    datasets = tuple(Dataset(name, tuple(values[n] for n in numbers)) for name, numbers in parts)
    own = tuple(values[n] for n in cell_ids(cells))
    return StudyRow(ordinal, Study(study_id, title, own, datasets, tuple(json.loads(origins))), bool(live))


def select_images(connection: sqlite3.Connection, column: str, keys: Sequence[str] | Sequence[int]) -> list[ImageRow]:
    """Images, live or not, whose `column` (`id` or `ord`) is among the keys."""
    rows = connection.execute(
        f"SELECT i.ord, i.id, i.study, s.id, i.dataset, i.title, i.cells, i.pixels, i.live FROM json_each(?) j "
        f"JOIN images i ON i.{column} = j.value JOIN studies s ON s.ord = i.study",
        (json.dumps(keys),),
    ).fetchall()
    values = load_values(connection, {n for row in rows for n in cell_ids(row[6])})
    return [_image(row, values) for row in rows]


def _image(
    row: tuple[int, str, int, str, str | None, str, bytes, str | None, int], values: dict[int, Value]
) -> ImageRow:
    ordinal, image_id, study, study_id, dataset, title, cells, pixels, live = row
    own = tuple(values[n] for n in cell_ids(cells))
    where = Pixels(pixels) if pixels is not None else None
    return ImageRow(ordinal, study, Image(image_id, study_id, title, dataset, own, where), bool(live))


def study_records(rows: Iterable[StudyRow]) -> Iterator[Record]:
    """Studies as a reader gives them."""
    for row in rows:
        study = row.study
        yield Record(
            study.id,
            Level.STUDY,
            row.ordinal,
            study.id,
            study.title,
            study_values(study),
            origins=study.origins,
        )


def image_records(connection: sqlite3.Connection, rows: Sequence[ImageRow]) -> Iterator[Record]:
    """Images as a reader gives them, with what they inherit."""
    ordinals = sorted({row.study_ordinal for row in rows})
    studies = {row.ordinal: row.study for row in select_studies(connection, "ord", ordinals)}
    inherited: dict[tuple[int, str | None], tuple[Value, ...]] = {}
    for row in rows:
        image, study = row.image, studies[row.study_ordinal]
        key = (row.study_ordinal, image.dataset)
        if key not in inherited:
            inherited[key] = inherited_values(study, image.dataset)
        own = image_values(image)
        values = effective_values(own, inherited[key])
        yield Record(
            image.id,
            Level.IMAGE,
            row.ordinal,
            image.study_id,
            image.title,
            values,
            image.dataset,
            study.origins,
            image.pixels,
            len(values) - len(own),
        )
