"""Results for people: tables, one for each kind of result, and a progress bar."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from hooke.curation import Accepted
from hooke.results import (
    Annotation,
    CombinedResult,
    CompletionResult,
    CurationList,
    Explanation,
    FacetLevel,
    FacetValue,
    IndexInfo,
    OntologySummary,
    Part,
    Place,
    QueryReport,
    Reason,
    ResolvedTerm,
    SearchResult,
    SimilarResult,
    ViewPair,
)
from hooke.views import Kind
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
    query_report(result.query, console)
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
    query_report(result.query, console)
    console.print(f"{len(result.hits)} of {result.candidates} images ({_exactness(result)}, {result.method})")
    if result.reranked:
        console.print(f"the nearest {result.reranked} ranked again by their annotations")
    if result.meaningful is not None:
        are = "is" if result.meaningful == 1 else "are"
        few = f"{result.meaningful} of these hits {are}" if result.meaningful else "nothing here is"
        console.print(f"{few} more alike than chance explains")
    if result.views is not Kind.WHOLE:
        console.print(f"compared with their {result.views}s")
    first = result.hits[:1]
    known = [name for name in ("percentile", "semantic", "score") if first and getattr(first[0], name) is not None]
    table = Table("similarity", *known, "id", "title", box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        table.add_row(f"{hit.similarity:.4f}", *(f"{getattr(hit, n):.4f}" for n in known), hit.id, hit.title[:80])
    if result.hits:
        console.print(table)
    for hit in result.hits:
        for pair in hit.pairs:
            console.print(f"  {hit.id}: {_pair(pair)}", soft_wrap=True)
    if result.similar != len(result.hits) and result.facets:
        console.print(f"counted among the {result.similar:,} most alike:")
    _facets(result.facets, console)


def _exactness(result: SimilarResult | CombinedResult) -> str:
    if result.recall is not None:
        return f"approximate, with some {result.recall:.1%} of the nearest"
    return "exact" if result.exact else "approximate"


def combined_result(result: CombinedResult, console: Console) -> None:
    """Images by text and look, each with its parts."""
    query_report(result.query, console)
    how = "by reciprocal rank" if result.weight is None else f"look weighs {result.weight:g}"
    console.print(f"{len(result.hits)} of {result.candidates} images ({_exactness(result)}, {result.method}), {how}")
    columns = ("score", "text", "look", "text rank", "look rank", "percentile", "id", "title")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for hit in result.hits:
        ranks = ("" if rank is None else str(rank) for rank in (hit.text_rank, hit.look_rank))
        parts = (f"{part:.4f}" for part in (hit.score, hit.text_part, hit.look_part))
        percentile = "" if hit.percentile is None else f"{hit.percentile:.4f}"
        table.add_row(*parts, *ranks, percentile, hit.id, hit.title[:80])
    if result.hits:
        console.print(table)
    _facets(result.facets, console)


def _pair(pair: ViewPair) -> str:
    mine, its = (_place(place, pair.kind) for place in (pair.example_place, pair.hit_place))
    return f"its {its} is like {mine} of {pair.example}, {pair.similarity:.4f}"


def _place(place: Place, kind: Kind) -> str:
    if place.box:
        box = place.box
        return f"{'tile' if kind is Kind.TILE else 'region'} {box.x},{box.y},{box.width},{box.height}"
    return f"{kind}" if place.channel is None else f"channel {place.channel}"


def facet_level(level: FacetLevel, console: Console) -> None:
    """A level of a facet: where it stands, ranges of numbers, values; `+` before what has more below it."""
    query_report(level.query, console)
    above = (*level.skipped, *((level.parent,) if level.parent else ()))
    for node in above:
        console.print(f"{node.count:,} {node.label} ({node.id})", soft_wrap=True)
    counted = any(node.studies is not None for node in level.values) or any(s.studies is not None for s in level.ranges)
    table = Table("", level.field, "count", "direct", *["studies"] * counted, "id", box=None, padding=(0, 2, 0, 0))
    for span in level.ranges:
        text = f"{span.low:.12g}" if span.low == span.high else f"{span.low:.12g} to below {span.high:.12g}"
        table.add_row("", text, f"{span.count:,}", "", *[f"{span.studies:,}"] * counted, "")
    for node in level.values:
        shown = node.id if node.id != node.label else ""
        table.add_row(
            "+" if node.children else "",
            " ".join(node.label.split())[:80],
            f"{node.count:,}",
            f"{node.direct_count:,}",
            *[f"{node.studies:,}"] * counted,
            " ".join(shown.split())[:80],
        )
    console.print(table)
    more = f"; {len(level.values):,} of {level.size:,} values shown" if len(level.values) < level.size else ""
    console.print(f"{level.total:,} match, {level.silent:,} of them say nothing of {level.field}{more}")


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


def explanation(found: Explanation, console: Console) -> None:
    """Each part of a query, whether the record has it, and by what."""
    console.print(f"{found.id}  {found.title}", soft_wrap=True)
    verdict = f"matches, score {found.score:g}" if found.matches else "does not match"
    console.print(f"{verdict}: {found.query.understood}", soft_wrap=True)
    for line in (*_remarks(found.query), *_part(found.whole)):
        console.print(line, soft_wrap=True)


def _part(part: Part, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}{'yes' if part.matched else 'NO '}  {part.text}"
    for term in part.terms:
        yield f"{indent}     asks for {_asked(term)}"
    for reason in part.reasons:
        yield f"{indent}     {_detailed(reason)}"
    for each in part.parts:
        yield from _part(each, depth + 1)


def _asked(term: ResolvedTerm) -> str:
    ontology = f"{term.ontology} {term.version}".strip()
    if not term.name:
        return f"{term.id} ({term.label}) of {ontology}"
    whose = ", a name of Hooke's own" if term.named_by not in ("", term.ontology) else ""
    return f"{term.id} ({term.label}) of {ontology}: {_name(term.name, term.scope)}{whose}"


def _name(name: str, scope: str) -> str:
    return f"its label {name!r}" if scope == "LABEL" else f"its {scope.lower()} synonym {name!r}"


def _detailed(reason: Reason) -> str:
    if not reason.path:
        synonym = f", {_name(reason.name, reason.scope)}" if reason.name else ""
        said = f" has {' '.join(reason.words)!r}{synonym}" if reason.words else ""
        return f"{reason.field}: {' '.join(reason.value.split())!r}{said}"
    found = reason.annotation
    steps = [f"{reason.path[0].label} ({reason.path[0].id})"]
    steps += [f"{step.relation} {step.label} ({step.id})" for step in reason.path[1:]]
    made = f" [{', '.join(_made(found))}]" if found else ""
    return f"{reason.field}: {reason.value!r} = {', '.join(steps)}{made}"


def _made(found: Annotation) -> Iterator[str]:
    yield f"by {found.method.replace('_', ' ')}, score {found.score:.2f}"
    if found.ids:
        yield f"submitted as {'; '.join(found.ids)}"
    if found.scope and found.scope != "LABEL":
        yield _name(found.name, found.scope)
    if found.note:
        yield found.note.replace("_", " ")
    yield f"{found.ontology} {found.version}".strip()


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


def trained(kinds: Sequence[object], console: Console) -> None:
    """Trained lists of each kind of rows, with what tests found."""
    for each in map(_plain_fields, kinds):
        console.print(
            f"{each['kind']}: {each['rows']:,} rows in {each['lists']:,} lists, {each['bytes']:,} bytes; "
            f"{each['doubt']:.1%} is taken off every stated recall"
        )
        table = Table("filter keeps", "k", "answered", "recall stated", "measured", box=None, padding=(0, 2, 0, 0))
        for test in each["tests"]:
            recalls = (f"{test[name]:.1%}" if test["answered"] else "" for name in ("stated", "measured"))
            table.add_row(test["filter"], f"{test['k']:,}", f"{test['answered']:.0%}", *recalls)
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


def query_report(query: QueryReport, console: Console) -> None:
    """What a query was understood to mean, where that is not just what it says."""
    for found in query.terms:
        ours = f" (Hooke's own name {found.name!r})" if found.named_by not in ("", found.ontology) else ""
        console.print(f"{found.text!r} is {found.id} ({found.label}), by {found.method}{ours}", style="dim")
    for line in _remarks(query):
        console.print(line, soft_wrap=True)


def _remarks(query: QueryReport) -> Iterator[str]:
    """What was read otherwise than it was written, and what was not understood."""
    for rewrite in query.rewrites:
        yield f"{rewrite.given} is now {rewrite.id} ({rewrite.label}), {rewrite.reason}"
    for expansion in query.expansions:
        more = f" and {len(expansion.words) - 12} more" if len(expansion.words) > 12 else ""
        yield f"{expansion.text} stands for {', '.join(expansion.words[:12]) or 'no word'}{more}"
    for text in query.unresolved:
        near = [f"{s.label} ({s.id})" if s.id else s.label for s in query.suggestions if s.text == text]
        yield f"{text!r} was not found" + (f"; did you mean {', '.join(near)}?" if near else "")
    yield from query.notices


def _facets(facets: Mapping[str, tuple[FacetValue, ...]], console: Console) -> None:
    for name, values in facets.items():
        table = Table(name, "count", "direct", "id", box=None, padding=(0, 2, 0, 0))
        for value in values[:_SHOWN_FACETS]:
            table.add_row(value.label, str(value.count), str(value.direct_count), value.id)
        console.print()
        console.print(table)
