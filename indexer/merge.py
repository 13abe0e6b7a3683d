"""One study out of what several sources say of it; and, of an image that several name, which one it is kept from.

Studies are merged, images are not: an image is replaced and deleted with the input that names it. So where several
inputs name one id, one of them has the image:

- the input that had it before, as long as its file is there and is not read anew in this run;
- of the inputs read in this run, the first.

The others are told, and read again by each run, so that they give the image as soon as nobody else does. An input
that no longer names its image lets it go only when whoever else named it is read in the same run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from hooke.model import Dataset, Image, Study, Value


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
    datasets = tuple(Dataset(dataset.name, bare(dataset.values)) for dataset in study.datasets)
    return replace(study, values=bare(study.values), datasets=datasets)


def bare(values: Iterable[Value]) -> tuple[Value, ...]:
    """Values as submitted: without what they were grounded to, and without those that prose was found to name."""
    submitted = (value for value in values if not value.from_text)
    return tuple(replace(value, mentions=()) if value.mentions else value for value in submitted)


class ImageOwners:
    """The parts (inputs) that images are kept from, for those studies that several parts may have images of.

    owners: the images of parts that are not read now; shared: the studies that several of those read now name.
    """

    def __init__(self, owners: Mapping[str, str], shared: frozenset[str]) -> None:
        self._owners = dict(owners)
        self._shared = shared
        self._refused: dict[str, list[str]] = {}

    def kept(self, images: Iterable[Image], part: str) -> Iterator[Image]:
        """Those images that a part may give."""
        for image in images:
            owner = self._owners.get(image.id, part)
            if owner != part:
                self._refused.setdefault(owner, []).append(image.id)
                continue
            if image.study_id in self._shared:
                self._owners[image.id] = part
            yield image

    def take_refused(self) -> dict[str, list[str]]:
        """The images left out since this was last asked, by the part that has them."""
        refused, self._refused = self._refused, {}
        return refused
