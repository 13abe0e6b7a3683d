"""What an image has from its dataset and its study.

An image, its dataset and its study may each speak of a field; the nearest one that does is believed, so that a mouse
image of a study on mice and men is not a human image. Prose adds up instead: a study's text belongs to all its images.
Findings are nobody's to give: a study lists the phenotypes that some of its images have, and the others have none.

What was found in prose (`Value.from_text`) speaks for no level: it silences nothing, and an image inherits it only in
fields of which no submitter says anything, neither its own levels nor another dataset of the study. A text's biological
processes are what its study is about; which of the images show one, only they can say.
"""

from collections.abc import Iterable

from hooke.fields import ID, NARRATIVE_FIELDS, TEXT_FIELDS, TITLE
from hooke.model import Image, Study, Value

DATASET = "dataset"
OF_IMAGES = "(images)"
"""A dataset that no image is in: it has what the images of a study say, so that the study is found by it."""
FINDINGS = ("phenotype",)
"""Fields that only an image's own values speak for."""
TOPICS = ("biological_process",)
"""Fields of which what prose names is inherited by no image."""


def is_prose(field: str) -> bool:
    """Whether a field is text for readers; inherited, it tells of a whole study or dataset and of no image of it."""
    return field in NARRATIVE_FIELDS or field.endswith("_description")


def study_values(study: Study) -> tuple[Value, ...]:
    """A study's values with its title and id among them."""
    return (Value(TITLE, study.title), Value(ID, study.id), *study.values)


def image_values(image: Image) -> tuple[Value, ...]:
    """An image's own values with its title, id and dataset among them."""
    return (*naming_values(image), *image.values)


def naming_values(image: Image) -> tuple[Value, ...]:
    """An image's title, id and dataset as values."""
    dataset = (Value(DATASET, image.dataset),) if image.dataset else ()
    return (Value(TITLE, image.title), Value(ID, image.id), *dataset)


def inherited_values(study: Study, dataset: str | None) -> tuple[Value, ...]:
    """What an image of a dataset can inherit, nearest first; what belongs to other datasets only is left out."""
    mine = _handed_down(next((d.values for d in study.datasets if d.name == dataset), ()))
    others = {value for d in study.datasets for value in d.values}
    stated = _spoken(study.values)
    general = _handed_down(value for value in study.values if value not in others)
    title = Value(TITLE, study.title)
    inherited = (*mine, title, *_where_silent(general, _spoken(mine)))
    return tuple(value for value in inherited if not value.from_text or value.field not in {*stated, *TOPICS})


def effective_values(own: Iterable[Value], inherited: Iterable[Value]) -> tuple[Value, ...]:
    """An image's own values, then the inherited ones of the fields it is silent on, and inherited prose."""
    values = tuple(own)
    return (*values, *_where_silent(inherited, _spoken(values)))


def overrides(own: Iterable[Value]) -> frozenset[str]:
    """The fields an image's own values speak for."""
    return frozenset(_spoken(own)) - frozenset(TEXT_FIELDS)


def _spoken(values: Iterable[Value]) -> set[str]:
    return {value.field for value in values if not value.from_text}


def _handed_down(values: Iterable[Value]) -> list[Value]:
    return [value for value in values if value.field not in FINDINGS]


def _where_silent(values: Iterable[Value], spoken: set[str]) -> list[Value]:
    return [value for value in values if value.field in TEXT_FIELDS or value.field not in spoken]
