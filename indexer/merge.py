"""One study out of what several sources say of it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hooke.model import Dataset, Study, Value


def merge_studies(studies: Iterable[Study]) -> dict[str, Study]:
    """Studies by id, those of one accession made one; earlier ones come first."""
    parts: dict[str, list[Study]] = {}
    for study in studies:
        parts.setdefault(study.id, []).append(study)
    return {key: merge(found) for key, found in parts.items()}


def merge(parts: Sequence[Study]) -> Study:
    """One study with the values, datasets and origins of all parts, none twice; the first real title is its title."""
    first = parts[0]
    if len(parts) == 1:
        return first
    titles = [part.title for part in parts if part.title != part.id]
    datasets: dict[str, Dataset] = {}
    for part in parts:
        for dataset in part.datasets:
            known = datasets.get(dataset.name, Dataset(dataset.name))
            datasets[dataset.name] = Dataset(dataset.name, tuple(dict.fromkeys(known.values + dataset.values)))
    return Study(
        first.id,
        titles[0] if titles else first.title,
        tuple(dict.fromkeys(value for part in parts for value in part.values)),
        tuple(datasets.values()),
        tuple(dict.fromkeys(origin for part in parts for origin in part.origins)),
    )


def as_submitted(study: Study) -> Study:
    """A stored study as its sources gave it, to be grounded anew with what they say now."""
    datasets = tuple(Dataset(dataset.name, _bare(dataset.values)) for dataset in study.datasets)
    return replace(study, values=_bare(study.values), datasets=datasets)


def _bare(values: Iterable[Value]) -> tuple[Value, ...]:
    submitted = (value for value in values if not value.from_text)
    return tuple(replace(value, mentions=()) if value.mentions else value for value in submitted)
