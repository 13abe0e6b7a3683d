"""Results for people: tables, one for each kind of result, and a progress bar."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from hooke.curation import Accepted
from hooke.results import (
    CompletionResult,
    CurationList,
    FacetValue,
    IndexInfo,
    OntologySummary,
    QueryReport,
    Reason,
    SearchHit,
    SearchResult,
    SimilarResult,
)
from hooke.wire import to_json, to_plain

T = TypeVar("T")
_SHOWN_FACETS = 15
_PLAIN_WIDTH = 160
"""Columns when the output is no terminal: a pipe cuts nothing."""


def emit(value: T, as_json: bool, show: Callable[[T, Console], None]) -> None:
    """Print a result to stdout as JSON, or as `show` shows it."""
    if as_json:
        sys.stdout.write(to_json(value) + "\n")
    else:
        show(value, Console(width=None if sys.stdout.isatty() else _PLAIN_WIDTH, highlight=False, markup=False))


@contextmanager
def progress(console: Console) -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar on a terminal; nothing on a pipe."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def update(stage: str, done: int, total: int | None) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield update


def search_result(result: SearchResult, console: Console) -> None:
    """Hits with the first reason of each, then facets."""
    _query(result.query, console)
    console.print(f"{result.total} found")
    table = Table("id", "title", "why", box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        table.add_row(hit.id, hit.title[:80], _reason(hit.why[0]) if hit.why else "")
    if result.hits:
        console.print(table)
    _facets(result.facets, console)
    if result.cursor:
        console.print(f"more: --cursor {result.cursor}", soft_wrap=True)


def similar_result(result: SimilarResult, console: Console) -> None:
    """Look-alikes, nearest first."""
    _query(result.query, console)
    kind = "exact" if result.exact else "approximate"
    console.print(f"{len(result.hits)} of {result.candidates} images ({kind}, {result.method})")
    table = Table("similarity", "id", "title", box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        table.add_row(f"{hit.similarity:.4f}", hit.id, hit.title[:80])
    if result.hits:
        console.print(table)
    _facets(result.facets, console)


def completions(result: CompletionResult, console: Console) -> None:
    """Completions, best first, each with the name that matched where it is another."""
    if not result.completions:
        console.print("nothing begins so")
        return
    table = Table("completion", "kind", "count", "id", "matched", "in", box=None, padding=(0, 2, 0, 0))
    for each in result.completions:
        matched = f"{each.name} ({each.scope.lower()})" if each.scope and each.name != each.label else ""
        count = "" if each.count is None else str(each.count)
        where = ", ".join(each.fields) or each.label[:80]
        shown = each.id if each.kind == "record" else each.label
        table.add_row(shown, each.kind, count, each.id if each.kind == "term" else "", matched, where)
    console.print(table)


def explanation(hit: SearchHit, console: Console) -> None:
    """Every reason, with its whole path."""
    console.print(f"{hit.id}  {hit.title}", soft_wrap=True)
    for reason in hit.why:
        console.print("  " + _reason(reason), soft_wrap=True)


def index_info(info: IndexInfo, console: Console) -> None:
    """An index in a few lines."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name in ("studies", "images", "embedded", "unresolved", "snapshot", "created", "store"):
        table.add_row(name, str(getattr(info, name)))
    table.add_row("mentions", ", ".join(f"{n} by {method}" for method, n in info.mentions.items()))
    table.add_row(
        "space", str(info.space["model"]) + " " + str(info.space["fingerprint"])[:12] if info.space else "none"
    )
    table.add_row("bytes", ", ".join(f"{name} {size:,}" for name, size in info.bytes.items()))
    console.print(table)
    ontologies(info.ontologies, console)


def ontologies(loaded: tuple[OntologySummary, ...], console: Console) -> None:
    """Loaded ontologies, one a line."""
    table = Table("ontology", "version", "terms", "edges", "relations", "warnings", box=None, padding=(0, 2, 0, 0))
    for each in loaded:
        row = (each.name, each.version, f"{each.terms:,}", f"{each.edges:,}", each.relations, "; ".join(each.warnings))
        table.add_row(*row)
    console.print(table)


def term(found: Mapping[str, object], console: Console) -> None:
    """A term, key by key."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in found.items():
        if value not in (None, "", [], ()):
            table.add_row(name, _line(to_plain(value)))
    console.print(table)


def fields(done: object, console: Console) -> None:
    """A result, key by key."""
    _print_fields(_plain_fields(done), console)


def report(done: object, console: Console) -> None:
    """An indexing run, key by key; the first quarantined inputs with their reasons."""
    plain = _plain_fields(done)
    quarantined = plain.pop("quarantined")
    _print_fields(plain | {"quarantined": len(quarantined)}, console)
    for each in quarantined[:20]:
        console.print(f"  {each['path']}: {each['reason']}", soft_wrap=True)


def worklist(waiting: CurationList, console: Console) -> None:
    """What waits for a curator, one value a line."""
    table = Table("records", "field", "text", "ids", "reason", "may be", "decided", box=None, padding=(0, 2, 0, 0))
    for each in waiting.entries:
        near = "; ".join(f"{found.term} ({found.label}) {found.score:.2f}" for found in each.candidates)
        text = " ".join(each.text.split())[:60]
        table.add_row(f"{each.records:,}", each.field, text, "; ".join(each.ids), each.reason, near, each.decision)
    if not waiting.entries:
        console.print("nothing waits for a decision")
        return
    console.print(f"{len(waiting.entries):,} of {waiting.total:,}")
    console.print(table)


def accepted(done: Accepted, console: Console) -> None:
    """What became of a curator's table."""
    console.print(
        f"{done.decisions} decisions, {done.changed} of them new; {done.kept} are kept in {done.path}", soft_wrap=True
    )
    console.print("`hooke index` on the same inputs applies them")


def _plain_fields(done: object) -> dict[str, Any]:
    plain = to_plain(done)
    if not isinstance(plain, dict):
        raise TypeError(f"a report is a dataclass, not {type(done).__name__}")
    return plain


def _print_fields(plain: dict[str, Any], console: Console) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in plain.items():
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value))
    console.print(table)


def _line(value: object) -> str:
    if isinstance(value, dict):
        return (
            f"{value['id']} ({value['label']})" if "label" in value else ", ".join(f"{k} {v}" for k, v in value.items())
        )
    if isinstance(value, list | tuple):
        more = f" and {len(value) - 12} more" if len(value) > 12 else ""
        return "; ".join(_line(each) for each in value[:12]) + more
    return str(value)


def _reason(reason: Reason) -> str:
    if not reason.path:
        return f"{reason.field}: {' '.join(reason.value.split())[:70]!r}"
    steps = [reason.path[0].label, *(f"{step.relation} {step.label}" for step in reason.path[1:])]
    return f"{reason.field}: {reason.value!r} = " + ", ".join(steps)


def _query(query: QueryReport, console: Console) -> None:
    for found in query.terms:
        console.print(f"{found.text!r} is {found.id} ({found.label}), by {found.method}", style="dim")
    for rewrite in query.rewrites:
        console.print(f"{rewrite.given} is now {rewrite.id} ({rewrite.label}), {rewrite.reason}", style="dim")
    for text in query.unresolved:
        near = [f"{s.label} ({s.id})" if s.id else s.label for s in query.suggestions if s.text == text]
        console.print(f"{text!r} was not found" + (f"; did you mean {', '.join(near)}?" if near else ""))
    for notice in query.notices:
        console.print(notice)


def _facets(facets: Mapping[str, tuple[FacetValue, ...]], console: Console) -> None:
    for name, values in facets.items():
        table = Table(name, "count", "direct", "id", box=None, padding=(0, 2, 0, 0))
        for value in values[:_SHOWN_FACETS]:
            table.add_row(value.label, str(value.count), str(value.direct_count), value.id)
        console.print()
        console.print(table)
