"""Ids that a spreadsheet made: dragging a cell down a column counts up the number that it ends with.

So, in a row whose text is that of the row above it, an id that is one more than the id above it was not given by
anyone, whatever the ontologies say of it. Looking from row to row is what sets dragging apart from one text with
several true ids, of which a table may have any number in any order; and it needs no more than one row in memory. The
cell that was dragged is not among them: it was typed, and is judged as any other.
"""

import re
from dataclasses import replace

from hooke.fields import ONTOLOGY_FIELDS
from hooke.model import Image, Value

_NUMBERED = re.compile(r"(.*?)(\d+)")


class Dragged:
    """Marks the values with such ids, of images that come as their table has them, one row after another."""

    def __init__(self) -> None:
        self._place: tuple[str, str | None] | None = None
        self._above: dict[tuple[str, str], Value] = {}

    def marked(self, image: Image) -> Image:
        """An image with the values marked whose ids were made so, as the image before it shows."""
        place = image.study_id, image.dataset
        above = self._above if place == self._place else {}
        self._place = place
        self._above = {
            (value.field, value.text): value
            for value in image.values
            if len(value.ids) == 1 and value.field in ONTOLOGY_FIELDS
        }
        dragged = {
            id(value)
            for key, value in self._above.items()
            # tables give the same object for the same cells
            if (before := above.get(key)) and before is not value and _follows(before.ids[0], value.ids[0])
        }
        if not dragged:
            return image
        values = (replace(value, dragged=True) if id(value) in dragged else value for value in image.values)
        return replace(image, values=tuple(values))


def _follows(before: str, after: str) -> bool:
    """Whether an id is the next number.

    >>> _follows("EFO_0001199", "EFO_0001200"), _follows("EFO_0001199", "CLO_0001200")
    (True, False)
    """
    numbered, counted = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(after)
    if numbered is None or counted is None:
        return False
    return numbered[1] == counted[1] and int(numbered[2]) + 1 == int(counted[2])
