"""The routes of `/v1` that compare images of the index with each other."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request

from hooke.comparisons import (
    MAX_NEIGHBOURS,
    MAX_SAMPLE,
    NEAR_DUPLICATE,
    By,
    DuplicatesResult,
    OutliersRequest,
    OutliersResult,
    StudiesRequest,
    StudiesResult,
)
from hooke.request import MAX_LIMIT
from search_api.parameters import json_pairs, read_duplicates, refuse_unknown
from search_api.problems import documented
from search_api.routes import TheEngine

MOST_IMAGES = 20_000
"""The most that a request may compare with each other: some seconds."""

router = APIRouter(prefix="/v1", responses=documented())

_LIMIT = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many")]


def _taking(*known: str) -> Callable[[Request], None]:
    """The check of a route that takes these parameters and no others."""

    def check(request: Request) -> None:
        refuse_unknown(request.query_params, known)

    return check


_TOO_MANY = f"More than {MOST_IMAGES:,} images are refused with 413: restrict them, or run the command on the index. "


def _documented(
    q: Annotated[str, Query(description="compare only images that match this text; empty means all")] = "",
    threshold: Annotated[
        float, Query(gt=0, le=1, description="the similarity from which two images are near-duplicates")
    ] = NEAR_DUPLICATE,
    across_studies: Annotated[bool, Query(description="only pairs of images of two studies")] = False,
    expand: Annotated[str | None, Query(description="none, is_a, or is_a,part_of (the default)")] = None,
) -> None:
    """What OpenAPI shows; `read_duplicates` reads the values."""


@router.get(
    "/duplicates",
    responses=documented(400, 413),
    summary="Near-duplicates",
    dependencies=[Depends(_documented)],
    description="Groups of near-duplicates among the images that text and choices allow, those across studies first: "
    "what leaks from a training set into its test set. Every pair of images is compared. Choices and bounds are those "
    "of a search. " + _TOO_MANY,
)
def duplicates(request: Request, engine: TheEngine) -> DuplicatesResult:
    """Groups, and how many are across studies and within."""
    return engine.duplicates(read_duplicates(request.query_params.multi_items()), most=MOST_IMAGES)


@router.post("/duplicates", responses=documented(400, 413), summary="Near-duplicates, parameters as JSON")
def post_duplicates(body: Annotated[dict[str, object], Body()], engine: TheEngine) -> DuplicatesResult:
    """As GET, with the same names in a JSON object; a list repeats a name."""
    return engine.duplicates(read_duplicates(json_pairs(body)), most=MOST_IMAGES)


@router.get(
    "/studies/{study_id:path}/outliers",
    responses=documented(400, 404, 413),
    summary="The images of a study least like the rest of it",
    dependencies=[Depends(_taking("limit", "neighbours"))],
    description="By the similarity to the k-th nearest image of the study, with the percentile among its images and a "
    "robust deviation from their median. " + _TOO_MANY,
)
def outliers(
    study_id: str,
    engine: TheEngine,
    limit: _LIMIT = 10,
    neighbours: Annotated[int, Query(ge=1, le=MAX_NEIGHBOURS, description="the k of the k-th nearest image")] = 5,
) -> OutliersResult:
    """The least typical first."""
    return engine.outliers(OutliersRequest(study_id, limit, neighbours), most=MOST_IMAGES)


@router.get(
    "/studies/{study_id:path}/similar",
    responses=documented(400, 404),
    summary="The studies most like one",
    dependencies=[Depends(_taking("by", "limit", "sample"))],
    description="By look: the symmetric mean of best-match similarities of images. By meaning: the semantic similarity "
    "of annotations. Both parts of each study are given apart, and the terms that it shares.",
)
def similar_studies(
    study_id: str,
    engine: TheEngine,
    by: Annotated[By, Query(description="look, meaning or both")] = By.BOTH,
    limit: _LIMIT = 10,
    sample: Annotated[int, Query(ge=1, le=MAX_SAMPLE, description="the most images of a study looked at")] = 100,
) -> StudiesResult:
    """Studies without vectors are ranked by meaning alone."""
    return engine.similar_studies(StudiesRequest(study_id, by, limit, sample))
