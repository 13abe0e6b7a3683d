"""The commands that compare images of an index with each other; `hooke.cli` mounts them."""

import sys
from contextlib import closing
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from hooke import show, show_comparisons
from hooke.cli_options import Filters, Index, Json, Nots
from hooke.comparisons import NEAR_DUPLICATE, By, DuplicatesRequest, OutliersRequest, StudiesRequest
from hooke.model import Level
from hooke.request import SearchRequest, read_conditions, read_expand

StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="A study's id.")]
Limit = Annotated[int, typer.Option("--limit", help="How many, at most 10,000.")]


def duplicates(
    index: Index,
    text: Annotated[str, typer.Argument(help="Compare only images that match this text; empty means all.")] = "",
    filter_: Filters = [],  # noqa: B006  # typer reads it, nobody changes it
    not_: Nots = [],  # noqa: B006
    threshold: Annotated[
        float, typer.Option(help="The similarity from which two images are near-duplicates, at most 1.")
    ] = NEAR_DUPLICATE,
    across_studies: Annotated[
        bool, typer.Option("--across-studies", help="Only pairs of images of two studies.")
    ] = False,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: each image with its group, to split a training set by.")
    ] = False,
    json: Json = False,
) -> None:
    """Find near-duplicates, within studies and across them: what leaks from a training set into its test set.

    Example: hooke duplicates --index my-index "fluorescence microscopy" --across-studies --csv > groups.csv
    """
    from hooke.client.local import open_engine

    filters, ranges = read_conditions(filter_, not_)
    search = SearchRequest(Level.IMAGE, text, filters, ranges, expand=read_expand(expand))
    request = DuplicatesRequest(search, threshold, across_studies)
    with closing(open_engine(index)) as engine, show.progress(Console(stderr=True)) as progress:
        found = engine.duplicates(request, progress=partial(progress, "comparing blocks of images"))
    if csv:
        sys.stdout.write(show_comparisons.duplicates_csv(found))
    else:
        show.emit(found, json, show_comparisons.duplicates)


def outliers(
    study: StudyId,
    index: Index,
    limit: Limit = 10,
    neighbours: Annotated[
        int,
        typer.Option(help="The k by whose k-th nearest an image is judged: odd groups of up to k images are found."),
    ] = 5,
    json: Json = False,
) -> None:
    """Find the images of a study that are least like the rest of it.

    Example: hooke outliers S-BIAD2331 --index my-index --limit 20
    """
    from hooke.client.local import open_engine

    request = OutliersRequest(study, limit, neighbours)
    with closing(open_engine(index)) as engine, show.progress(Console(stderr=True)) as progress:
        found = engine.outliers(request, progress=partial(progress, "comparing blocks of images"))
    show.emit(found, json, show_comparisons.outliers)


def similar_studies(
    study: StudyId,
    index: Index,
    by: Annotated[By, typer.Option(help="By the looks of images, the meaning of annotations, or both.")] = By.BOTH,
    limit: Limit = 10,
    sample: Annotated[int, typer.Option(help="The most images of a study that are looked at, evenly spaced.")] = 100,
    json: Json = False,
) -> None:
    """Find the studies most like one.

    Example: hooke similar-studies S-BIAD2331 --index my-index --by meaning
    """
    from hooke.client.local import open_engine

    with closing(open_engine(index)) as engine:
        found = engine.similar_studies(StudiesRequest(study, by, limit, sample))
    show.emit(found, json, show_comparisons.similar_studies)
