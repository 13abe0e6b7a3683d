"""The images of a study that are least like the rest of it.

An image is judged by its similarity to its k-th nearest image of the study (Ramaswamy et al. 2000). The study's mean
direction would be no measure: a study of several stains or phenotypes has several centres, and all images of the
smaller ones would be far from the mean. Nor would the nearest image: two copies of one odd image vouch for each other.
"""

import numpy as np
from pyroaring import BitMap

from hooke.comparisons import Outlier, OutliersRequest, OutliersResult
from hooke.errors import BadInput
from hooke.model import Level
from hooke.store.base import MetadataReader
from hooke.vectors.base import VectorReader
from hooke.vectors.pairs import Progress, neighbour_similarities
from hooke.vectors.planner import Similarities
from search_api.engine.duplicates import refuse_more

_FEWEST = 3
_NORMAL = 1.4826
"""What makes the median absolute deviation of a normal distribution its standard deviation."""


def find_outliers(
    request: OutliersRequest,
    reader: MetadataReader,
    vectors: VectorReader,
    *,
    most: int | None = None,
    progress: Progress | None = None,
) -> OutliersResult:
    """The images of a study with a vector, least typical first. Raises UnknownRecord, BadInput, TooLarge."""
    study = reader.get(Level.STUDY, request.study_id)
    members = reader.image_ordinals(BitMap([study.ordinal])) & vectors.ordinals()
    if len(members) < _FEWEST:
        raise BadInput(
            f"{len(members)} of the images of {study.id!r} have a vector, outliers need at least {_FEWEST}: "
            "index its pixels"
        )
    refuse_more(len(members), most, "ask about a smaller study")
    images, k = np.array(members.to_array(), np.uint32), min(request.neighbours, len(members) - 1)
    similarities = neighbour_similarities(vectors, images, k, progress=progress)
    order = np.lexsort((images, similarities))[: request.limit]
    records = reader.records(Level.IMAGE, images[order].tolist())
    below = np.searchsorted(np.sort(similarities), similarities[order], side="left") * 100 / len(images)
    deviations = _deviations(similarities)
    return OutliersResult(
        study.id,
        tuple(
            Outlier(record.id, record.study_id, record.title, *scores)
            for record, *scores in zip(
                records,
                similarities[order].tolist(),
                below.tolist(),
                [None if deviations is None else float(deviations[at]) for at in order],
                strict=True,
            )
        ),
        len(images),
        k,
        float(np.median(similarities)),
        reader.snapshot.manifest.space or "",
        reader.snapshot.id,
    )


def _deviations(similarities: Similarities) -> Similarities | None:
    """How far each is below the median, in robust standard deviations; None where half of all are the same."""
    below = np.median(similarities) - similarities
    spread = float(np.median(np.abs(below))) * _NORMAL
    return below / spread if spread else None
