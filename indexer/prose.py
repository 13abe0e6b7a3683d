"""The terms that prose names, as values of their fields beside what submitters gave (docs/adr/0012)."""

from collections.abc import Iterable
from dataclasses import replace

from hooke.curation import Decisions
from hooke.fields import NARRATIVE_FIELDS, TITLE
from hooke.model import Dataset, Image, Mention, Method, Study, TermId, Value
from ontologies.catalogue import Catalogue
from ontologies.prose import Tagger

_ASKED_OF_ALL = frozenset({"organism", "imaging_method"})
"""What every archive asks its submitters for: who answers, answers fully, and prose only compares with others."""
Stated = tuple[frozenset[str], frozenset[TermId]]
"""The fields in which submitters say something, and the organisms."""
_FIRST = {field: place for place, field in enumerate(NARRATIVE_FIELDS)}


class Prose:
    """Adds to records the terms that their titles, descriptions, keywords, sample and protocol texts name."""

    def __init__(self, catalogue: Catalogue, decisions: Decisions) -> None:
        self._catalogue = catalogue
        self._decisions = decisions
        self._tagger = Tagger(catalogue)
        self._studies: dict[str, Stated] = {}

    def study(self, study: Study) -> Study:
        """A grounded study; what a dataset's texts name is the dataset's, and the study's too."""
        stated, organisms = self._studies[study.id] = stated_in(study)
        datasets_own = {value for dataset in study.datasets for value in dataset.values}
        general = (Value(TITLE, study.title), *(value for value in study.values if value not in datasets_own))
        known = self._known(study.values)
        own = self._named(general, known, stated & _ASKED_OF_ALL, organisms)
        known |= self._known(own)
        datasets = []
        for dataset in study.datasets:
            named = self._named(dataset.values, known, stated & _ASKED_OF_ALL, organisms)
            datasets.append(Dataset(dataset.name, (*dataset.values, *named)))
            own = (*own, *named)
        return replace(study, values=(*study.values, *dict.fromkeys(own)), datasets=tuple(datasets))

    def image(self, image: Image) -> Image:
        """A grounded image, whose study was seen before; a field in which either's submitter speaks is left to them.

        Its title is not read: it is the name of a file or a well.
        """
        texts = [value for value in image.values if value.field in _FIRST]
        if not texts:
            return image
        stated, organisms = self._studies.get(image.study_id, (frozenset(), frozenset()))
        named = self._named(texts, frozenset(), stated | _stated(image.values), _organisms(image.values) or organisms)
        return replace(image, values=(*image.values, *named)) if named else image

    def _named(
        self,
        values: Iterable[Value],
        known: frozenset[tuple[str, TermId]],
        silent: frozenset[str],
        organisms: frozenset[TermId],
    ) -> tuple[Value, ...]:
        """A value for each term that texts name and nothing says yet, from its best place: a title before all."""
        texts = sorted((value for value in values if value.field in _FIRST), key=lambda value: _FIRST[value.field])
        found: dict[tuple[str, TermId], Value] = {}
        for value in texts:
            for tag in self._tagger.tag(value.text, organisms):
                key = (tag.field, tag.term)
                if key in known or key in found or tag.field in silent:
                    continue
                words = value.text[tag.start : tag.end]
                if self._decisions.rejects(tag.field, words):
                    continue
                place = (None, None, value.field, tag.start)
                mention = Mention(tag.field, words, tag.term, tag.label, Method.TEXT, tag.score, *place)
                found[key] = Value(tag.field, words, (), (mention,))
        return tuple(found.values())

    def _known(self, values: Iterable[Value]) -> frozenset[tuple[str, TermId]]:
        """What is said already, with all that follows from it: who says "neocortex" has said "brain"."""
        return frozenset(
            (mention.field, term)
            for mention in {mention for value in values for mention in value.mentions}
            for term in self._catalogue.ancestors(mention.term)
        )


def stated_in(study: Study) -> Stated:
    """What a grounded study states: by this the prose of its images is read."""
    return _stated(study.values), _organisms(study.values)


def _stated(values: Iterable[Value]) -> frozenset[str]:
    return frozenset(value.field for value in values if not value.from_text)


def _organisms(values: Iterable[Value]) -> frozenset[TermId]:
    submitted = (value for value in values if not value.from_text)
    return frozenset(m.term for value in submitted for m in value.mentions if m.field == "organism")
