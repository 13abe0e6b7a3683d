"""Duplicates, outliers and studies that are alike, for people."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from hooke.comparisons import DuplicateGroup, DuplicatesResult, OutliersResult, StudiesResult
from hooke.curation import guarded_csv
from hooke.show import query_report

_SHOWN_GROUPS = 20
_SHOWN_IMAGES = 5
_COLUMNS = ("group", "kind", "across_studies", "study", "id", "title")


def duplicates(result: DuplicatesResult, console: Console) -> None:
    """A summary, then the first groups with their first images."""
    query_report(result.query, console)
    if not result.groups:
        console.print(f"No near-duplicates among {result.candidates:,} images (threshold {result.threshold:g})")
        return
    console.print(
        f"{result.across:,} groups across studies, {result.within:,} within: {result.images:,} of "
        f"{result.candidates:,} images have another that is at least {result.threshold:g} alike"
    )
    for number, group in enumerate(result.groups[:_SHOWN_GROUPS], start=1):
        closest = f"{group.pairs[0].similarity:.4f}" if group.pairs else ""
        where = f"across {len(group.studies)} studies" if len(group.studies) > 1 else f"within {group.studies[0]}"
        pairs = f"{group.pair_count:,} pairs up to {closest}"
        console.print(f"\n{number}. {len(group.images):,} images {where}, {_kind(group)}, {pairs}", soft_wrap=True)
        for image in group.images[:_SHOWN_IMAGES]:
            console.print(f"   {image.id}  {' '.join(image.title.split())[:80]}", soft_wrap=True)
        if len(group.images) > _SHOWN_IMAGES:
            console.print(f"   and {len(group.images) - _SHOWN_IMAGES:,} more")
    if len(result.groups) > _SHOWN_GROUPS:
        console.print(f"\nand {len(result.groups) - _SHOWN_GROUPS:,} more groups: --csv or --json prints all")


def duplicates_csv(result: DuplicatesResult) -> str:
    """Every image of every group, one a line."""
    return guarded_csv(_COLUMNS, _lines(result))


def _lines(result: DuplicatesResult) -> Iterator[tuple[str, ...]]:
    for number, group in enumerate(result.groups, start=1):
        across = "yes" if len(group.studies) > 1 else "no"
        for image in group.images:
            yield str(number), _kind(group), across, image.study_id, image.id, image.title


def _kind(group: DuplicateGroup) -> str:
    return "identical" if group.identical else "similar"


def outliers(result: OutliersResult, console: Console) -> None:
    """The least typical images, each with how like the others it is."""
    console.print(
        f"{result.images:,} images of {result.study_id}, each by its similarity to the {result.neighbours} nearest of "
        f"them; the median is {result.median:.4f}"
    )
    table = Table("similarity", "percentile", "deviation", "id", "title", box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        deviation = "" if hit.deviation is None else f"{hit.deviation:.1f}"
        table.add_row(f"{hit.similarity:.4f}", f"{hit.percentile:.1f}", deviation, hit.id, hit.title[:80])
    console.print(table)


def similar_studies(result: StudiesResult, console: Console) -> None:
    """The studies most like one, each with its parts."""
    for notice in result.notices:
        console.print(notice, soft_wrap=True)
    sampled = "" if result.exact else ", of large studies a sample of images"
    console.print(f"{len(result.hits):,} of {result.compared:,} studies, by {result.by}{sampled}")
    table = Table("score", "look", "meaning", "id", "title", "shared terms", box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        parts = ["" if part is None else f"{part:.3f}" for part in (hit.score, hit.look, hit.meaning)]
        table.add_row(*parts, hit.id, hit.title[:60], ", ".join(term.label for term in hit.shared)[:60])
    console.print(table)
