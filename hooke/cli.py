"""The `hooke` command. Results go to stdout, everything else to stderr."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer
from rich.console import Console

from hooke import cli_comparisons, show
from hooke.cli_options import Filters, Index, Json, Nots
from hooke.curation import worklist_table
from hooke.errors import BadInput, HookeError
from hooke.index import existing_index
from hooke.model import Level
from hooke.request import (
    RELEVANCE,
    CompletionRequest,
    FacetRequest,
    LookOptions,
    SearchRequest,
    read_conditions,
    read_expand,
    read_look,
    read_same,
    read_sort,
    read_views,
)
from hooke.results import CurationList
from hooke.settings import read_settings
from hooke.store.location import read_location

if TYPE_CHECKING:
    from hooke.client.backend import Look
    from hooke.client.local import LocalBackend

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Search biological images by what they mean and by what they look like, in one request.",
)
ontologies_app = typer.Typer(no_args_is_help=True, help="The ontologies of an index.")
app.add_typer(ontologies_app, name="ontologies")
curation_app = typer.Typer(no_args_is_help=True, help="What waits for a curator, and what curators decide.")
app.add_typer(curation_app, name="curation")

_errors = Console(stderr=True)

FacetNames = Annotated[list[str], typer.Option("--facet", metavar="FIELD", help="Count the values of a field.")]
Examples = Annotated[
    list[str], typer.Argument(metavar="IMAGE...", help="Image files, or ids of indexed images, to look like.")
]
Unlike = Annotated[list[str], typer.Option("--unlike", metavar="ID", help="An indexed image not to look like.")]
Same = Annotated[
    str, typer.Option(metavar="dataset", help="dataset: one dataset or image of a study satisfies all that is asked.")
]
Exclude = Annotated[
    str, typer.Option(help="Leave out what shares the study, dataset or plate of an example: study, dataset or plate.")
]
Exact = Annotated[bool, typer.Option("--exact", help="Search exactly, also where trained lists would be faster.")]
Group = Annotated[str, typer.Option(help="study: the best image of each study.")]
ExampleRule = Annotated[
    str,
    typer.Option(
        "--examples",
        help="average: near to the mean of the examples; best: near to any, less the best of --unlike. "
        "Default: best without --unlike, else average.",
    ),
]
ModelName = Annotated[str | None, typer.Option("--model", help="A preset (fast, balanced, best) or a timm model name.")]
Weights = Annotated[Path | None, typer.Option("--weights", help="A local weights file (.safetensors, .pth).")]

OntologyField = Annotated[str | None, typer.Option("--field", help="Only this field, such as anatomy.")]
Entries = Annotated[int, typer.Option("--limit", help="Entries, the most frequent first, at most 10,000.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV with a column for decisions, for `hooke curation accept`.")]


def main() -> None:
    """Run the command; errors become one line and an exit code."""
    app()


def _command(group: typer.Typer, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a command whose errors are one line: exit 2 for bad input, 130 for Ctrl-C, 1 for any other."""

    def register(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def reported(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except HookeError as exc:
                _errors.print(f"error: {exc}", markup=False, highlight=False, soft_wrap=True)
                raise typer.Exit(exc.exit_code) from exc
            except BrokenPipeError:
                raise  # the reader has seen enough: typer ends quietly
            except OSError as exc:
                where = f"{exc.filename}: " if exc.filename else ""
                _errors.print(f"error: {where}{exc.strerror or exc}", markup=False, highlight=False, soft_wrap=True)
                raise typer.Exit(1) from exc
            except KeyboardInterrupt as exc:
                _errors.print("stopped; what was committed is kept, the same command goes on from there")
                raise typer.Exit(130) from exc

        group.command(name)(reported)
        return function

    return register


@_command(app)
def index(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, folders or tar.gz archives to index.")],
    index: Index,
    source: Annotated[
        str | None, typer.Option(help="Force idr, ro-crate, biostudies, bia-website, rembi or folder.")
    ] = None,
    ontology: Annotated[list[str], typer.Option(help="An ontology file or name to add first; repeatable.")] = [],  # noqa: B006  # typer reads it, nobody changes it
    embed: Annotated[bool, typer.Option("--embed/--no-embed", help="Embed the images' pixels.")] = True,
    model: ModelName = None,
    weights: Weights = None,
    tiles: Annotated[
        int | None,
        typer.Option(min=0, max=16, help="Embed up to so many tiles of each image of a new index, to find regions."),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(metavar="N|ADDRESS", help="Read and embed in N processes, or on a Dask scheduler's workers."),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keep a new index's records in Elasticsearch: http://host:9200/prefix."),
    ] = None,
    vectors: Annotated[
        str | None, typer.Option(metavar="URL", help="Keep its vectors in Elasticsearch too; else in the directory.")
    ] = None,
    vector_method: Annotated[
        str, typer.Option(help="How the cluster finds neighbours: flat (exactly), hnsw, int8_hnsw or bbq_hnsw.")
    ] = "flat",
    json: Json = False,
) -> None:
    """Index archive metadata and images.

    Example: hooke index idr/ crates.tar.gz --ontology fbbi.obo --index my-index
    """
    from hooke.vectors.place import Place
    from indexer.embedding import Model
    from indexer.pipeline import IndexJob, run

    settings = read_settings()
    chosen = Model(model or settings.model, weights or settings.weights, tiles, settings.device) if embed else None
    with show.progress(_errors) as progress:
        location = read_location(store) if store else None
        place = Place(read_location(vectors), vector_method) if vectors else None
        job = IndexJob(
            tuple(paths),
            index,
            source,
            tuple(ontology),
            chosen,
            location,
            place,
            settings.cluster,
            settings.reading,
            workers,
        )
        report = run(job, progress)
    show.emit(report, json, show.report)


@_command(app)
def search(
    index: Index,
    text: Annotated[str, typer.Argument(help="What to search for; empty means everything.")] = "",
    level: Annotated[Level, typer.Option(help="Search studies or images.")] = Level.STUDY,
    filter_: Filters = [],  # noqa: B006
    not_: Nots = [],  # noqa: B006
    facet: FacetNames = [],  # noqa: B006
    facet_limit: Annotated[int, typer.Option(help="The most values of one facet.")] = 1000,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    limit: Annotated[int, typer.Option(help="Hits on a page, at most 10,000.")] = 10,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    strict: Annotated[bool, typer.Option(help="Refuse text that does not parse.")] = False,
    exclude_inferred: Annotated[
        bool, typer.Option("--exclude-inferred", help="A term stands for itself, without what is below it.")
    ] = False,
    sort: Annotated[
        str, typer.Option(metavar="ORDER", help="relevance, date, title or size; -date … the other way round.")
    ] = RELEVANCE,
    explain: Annotated[bool, typer.Option("--explain", help="With --json: how each hit was annotated.")] = False,
    same: Same = "",
    json: Json = False,
) -> None:
    """Search by words, terms and fields.

    Example: hooke search "rodents light-sheet" --index my-index --filter "licence=CC-BY-4.0" --facet organism
    """
    filters, ranges = read_conditions(filter_, not_)
    request = SearchRequest(
        level,
        text,
        filters,
        ranges,
        tuple(facet),
        facet_limit,
        read_expand(expand),
        limit,
        cursor,
        strict,
        exclude_inferred,
        read_sort(sort),
        explain,
        same_dataset=read_same(same),
    )
    with _open(index) as archive:
        show.emit(archive.search(request), json, show.search_result)


@_command(app)
def similar(
    images: Examples,
    index: Index,
    text: Annotated[str, typer.Option(help="Keep only images that match this text.")] = "",
    unlike: Unlike = [],  # noqa: B006
    filter_: Filters = [],  # noqa: B006
    not_: Nots = [],  # noqa: B006
    facet: FacetNames = [],  # noqa: B006
    k: Annotated[int, typer.Option("-k", help="How many look-alikes.")] = 10,
    exclude: Exclude = "",
    group: Group = "",
    examples: ExampleRule = "",
    min_percentile: Annotated[
        float | None, typer.Option(help="Only what is more alike than this share of random pairs, 0 to 1.")
    ] = None,
    similar_set: Annotated[int | None, typer.Option(help="Facets count so many nearest images, not the hits.")] = None,
    semantic: Annotated[float, typer.Option(help="0 to 1: how much annotations count in the order.")] = 0.0,
    region: Annotated[str, typer.Option(metavar="X,Y,W,H", help="Compare this part of the example, in pixels.")] = "",
    channel: Annotated[str, typer.Option(help="Compare this channel of the example: number from 0, or name.")] = "",
    views: Annotated[str, typer.Option(help="With what to compare: whole, channel or tile.")] = "",
    exact: Exact = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say which channels and tiles are most alike.")] = False,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    model: ModelName = None,
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Find the images that look most like one, or like several.

    Example: hooke similar cell.png --index my-index --filter organism=Mammalia --text fluorescence -k 20
    """
    filters, ranges = read_conditions(filter_, not_)
    request = SearchRequest(
        Level.IMAGE, text, filters, ranges, tuple(facet), expand=read_expand(expand), limit=k, explain=explain
    )
    seen = read_views(region, channel, views)
    options = LookOptions(
        exclude,
        _by_study(group),
        min_percentile,
        similar_set,
        semantic,
        views=seen,
        examples=examples,
        exact=exact,
    )
    with _open(index, model, weights) as archive:
        look = _look(images, unlike)
        show.emit(archive.similar(look, request, options), json, show.similar_result)


@_command(app)
def combined(
    text: Annotated[str, typer.Argument(help="What to search for; it ranks, and leaves nothing out.")],
    images: Examples,
    index: Index,
    unlike: Unlike = [],  # noqa: B006
    filter_: Filters = [],  # noqa: B006
    not_: Nots = [],  # noqa: B006
    facet: FacetNames = [],  # noqa: B006
    k: Annotated[int, typer.Option("-k", help="How many images.")] = 10,
    exclude: Exclude = "",
    group: Group = "",
    examples: ExampleRule = "",
    weight: Annotated[
        float | None, typer.Option(help="0 to 1: how much the look counts, by score; else ranks are fused.")
    ] = None,
    exact: Exact = False,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    model: ModelName = None,
    weights: Weights = None,
    json: Json = False,
) -> None:
    """Rank images by text and by look together.

    Example: hooke combined "mitotic spindle" cell.png --index my-index --filter organism=human --weight 0.5
    """
    filters, ranges = read_conditions(filter_, not_)
    request = SearchRequest(Level.IMAGE, text, filters, ranges, tuple(facet), expand=read_expand(expand), limit=k)
    options = LookOptions(exclude, _by_study(group), weight=weight, examples=examples, exact=exact)
    with _open(index, model, weights) as archive:
        look = _look(images, unlike)
        show.emit(archive.combined(look, request, options), json, show.combined_result)


for _comparison in (cli_comparisons.duplicates, cli_comparisons.outliers, cli_comparisons.similar_studies):
    _command(app)(_comparison)


@_command(app)
def facets(
    field: Annotated[str, typer.Argument(help="The field whose values to count, such as organism.")],
    index: Index,
    text: Annotated[str, typer.Argument(help="What to search for; empty means everything.")] = "",
    parent: Annotated[str, typer.Option(help="A term: count what is right below it; else the top.")] = "",
    level: Annotated[Level, typer.Option(help="Count studies or images.")] = Level.STUDY,
    filter_: Filters = [],  # noqa: B006
    not_: Nots = [],  # noqa: B006
    limit: Annotated[int, typer.Option(help="The most values.")] = 1000,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    studies: Annotated[bool, typer.Option("--studies", help="Of images, also say of how many studies.")] = False,
    same: Same = "",
    json: Json = False,
) -> None:
    """Count a field's values one level at a time; numbers as ranges.

    Example: hooke facets organism "fluorescence microscopy" --index my-index --parent Mammalia
    """
    filters, ranges = read_conditions(filter_, not_)
    asked = SearchRequest(
        level,
        text,
        filters,
        ranges,
        facet_limit=limit,
        expand=read_expand(expand),
        count_studies=studies,
        same_dataset=read_same(same),
    )
    with _open(index) as archive:
        show.emit(archive.facet(FacetRequest(field, parent, asked)), json, show.facet_level)


@_command(app)
def complete(
    text: Annotated[str, typer.Argument(help="What is typed so far.")],
    index: Index,
    field: Annotated[str | None, typer.Option(help="Complete only by what this field has.")] = None,
    level: Annotated[Level, typer.Option(help="Count studies or images.")] = Level.STUDY,
    limit: Annotated[int, typer.Option(help="The most completions, at most 100.")] = 10,
    json: Json = False,
) -> None:
    """Complete a text: terms by any of their names, values of fields, studies.

    Example: hooke complete "light sh" --index my-index --field imaging_method
    """
    with _open(index) as archive:
        show.emit(archive.complete(CompletionRequest(text, level, field, limit)), json, show.completions)


@_command(app)
def info(index: Index, json: Json = False) -> None:
    """Say what an index holds.

    Example: hooke info --index my-index
    """
    with _open(index) as archive:
        show.emit(archive.info(), json, show.index_info)


@_command(app)
def copy(
    from_: Annotated[str, typer.Option("--from", metavar="DIR|URL", help="Where the records are now.")],
    to: Annotated[str, typer.Option("--to", metavar="URL|DIR", help="Where they are to be.")],
) -> None:
    """Move an index's records between its directory and Elasticsearch; all else stays in the directory.

    Example: hooke copy --from my-index --to http://localhost:9200/hooke, and back with the two the other way round
    """
    from hooke.store.move import move_home, move_to_cluster

    settings = read_settings()
    outward = to.startswith(("http://", "https://"))
    if outward == from_.startswith(("http://", "https://")):
        raise BadInput("one of --from and --to is an index directory, the other a URL such as http://host:9200/hooke")
    index = existing_index(Path(from_ if outward else to))
    with show.progress(_errors) as progress:
        move, url = (move_to_cluster, to) if outward else (move_home, from_)
        moved = move(index, read_location(url), settings.cluster, progress)
    sys.stdout.write(
        f"{moved.studies:,} studies and {moved.images:,} images are now {'at' if outward else 'in'} {to}\n"
        f"{moved.former} is what the index was before; delete it once you need no way back\n"
    )


@_command(app)
def compact(index: Index, json: Json = False) -> None:
    """Merge an index's vector segments, and drop the vectors of images that are replaced or gone.

    Example: hooke compact --index my-index
    """
    from indexer.compaction import compact_index

    show.emit(compact_index(index, read_settings().cluster), json, show.fields)


@_command(app)
def train(index: Index, json: Json = False) -> None:
    """Train lists for searches above HOOKE_VECTOR_BYTES, which are then approximate, and say their recall.

    Example: hooke train --index my-index && HOOKE_VECTOR_BYTES=8000000000 hooke serve --index my-index
    """
    from indexer.training import train_index

    with show.progress(_errors) as progress:
        trained = train_index(index, progress, read_settings().cluster)
    show.emit(trained, json, show.trained)


@_command(app)
def why(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="A study's or an image's id.")],
    text: Annotated[str, typer.Argument(help="The query.")],
    index: Index,
    expand: Annotated[str | None, typer.Option(help="none, is_a, or is_a,part_of (the default).")] = None,
    json: Json = False,
) -> None:
    """Explain why a record matches a query, or which part of the query it does not have; the exit code says which.

    Example: hooke why S-BIAD2331 "rodents" --index my-index
    """
    from hooke.client.local import open_engine

    with closing(open_engine(index)) as engine:
        found = engine.why(record_id, SearchRequest(text=text, expand=read_expand(expand)))
    show.emit(found, json, show.explanation)
    if not found.matches:
        raise typer.Exit(1)


@_command(app)
def serve(
    index: Index,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    model: ModelName = None,
    weights: Weights = None,
) -> None:
    """Serve the page and the API.

    Example: hooke serve --index my-index --port 8000
    """
    from hooke.client.local import open_engine

    try:
        from search_api.serve import serve_engine
    except ModuleNotFoundError as exc:
        raise BadInput(f"serving needs {exc.name}: install Hooke's extras `serve` and `embed`") from exc
    with closing(open_engine(index, model=model, weights=weights)) as engine:
        serve_engine(engine, read_settings(), host=host, port=port)


@_command(app)
def demo(
    directory: Annotated[Path, typer.Option("--dir", help="Where to put the demo archive and its index.")] = Path(
        "demo"
    ),
) -> None:
    """Build the demo archive and its index, and ask it a merged question.

    Example: hooke demo --dir demo && hooke serve --index demo/index
    """
    from hooke.client.backend import Look
    from indexer.demo import write_demo_archive
    from indexer.embedding import Model
    from indexer.pipeline import IndexJob, run

    archive = write_demo_archive(directory / "archive")
    job = IndexJob(
        tuple(archive.paths), directory / "index", None, tuple(archive.ontologies), Model(read_settings().model)
    )
    with show.progress(_errors) as progress:
        show.emit(run(job, progress), False, show.report)
    question = SearchRequest(
        Level.IMAGE,
        "fluorescence microscopy",
        *read_conditions(["organism=Mammalia"], []),
        facets=("organism",),
        limit=5,
    )
    with _open(directory / "index") as opened:
        sys.stdout.write(f"\nFluorescence images of mammals that look like {archive.example}:\n\n")
        show.emit(opened.similar(Look(files=(archive.example,)), question, LookOptions()), False, show.similar_result)


@_command(ontologies_app, "add")
def ontologies_add(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="OBO, OWL, OBO Graph JSON; or cellxgene:UBERON.")
    ],
    index: Index,
    json: Json = False,
) -> None:
    """Load ontologies into an index.

    Example: hooke ontologies add fbbi.obo uberon.owl.gz cellxgene:CL --index my-index
    """
    from indexer.pipeline import add_to_index

    with show.progress(_errors) as progress:
        add_to_index(files, index, progress, read_settings().cluster)
    ontologies_list(index, json)


@_command(ontologies_app, "update")
def ontologies_update(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Newer releases of ontologies of the index.")],
    index: Index,
    json: Json = False,
) -> None:
    """Replace ontologies by newer releases, and ground anew what they change; the sources are not read again.

    Example: hooke ontologies update fbbi-2027.obo --index my-index
    """
    from indexer.update import update_ontologies

    with show.progress(_errors) as progress:
        report = update_ontologies(files, index, progress, read_settings().cluster)
    show.emit(report, json, show.report)


@_command(ontologies_app, "list")
def ontologies_list(index: Index, json: Json = False) -> None:
    """List the ontologies of an index.

    Example: hooke ontologies list --index my-index
    """
    with _open(index) as archive:
        show.emit(archive.info().ontologies, json, show.ontologies)


@_command(ontologies_app, "show")
def ontologies_show(
    curie: Annotated[str, typer.Argument(help="A term id in any spelling.")], index: Index, json: Json = False
) -> None:
    """Show a term: its names, what is above it and below it, and how many records have it.

    Example: hooke ontologies show FBbi:00000246 --index my-index
    """
    from hooke.client.local import open_engine

    with closing(open_engine(index)) as engine:
        show.emit(engine.term(curie), json, show.term)


@_command(curation_app, "unresolved")
def curation_unresolved(
    index: Index, field: OntologyField = None, limit: Entries = 100, csv: Csv = False, json: Json = False
) -> None:
    """List the values that found no term, with the terms that may be meant.

    Example: hooke curation unresolved --index my-index --field anatomy --csv > worklist.csv
    """
    from hooke.client.local import open_engine

    with closing(open_engine(index)) as engine:
        _emit_worklist(engine.unresolved(field, limit), csv, json)


@_command(curation_app, "conflicts")
def curation_conflicts(
    index: Index, field: OntologyField = None, limit: Entries = 100, csv: Csv = False, json: Json = False
) -> None:
    """List the values whose text names another term than their ids.

    Example: hooke curation conflicts --index my-index
    """
    from hooke.client.local import open_engine

    with closing(open_engine(index)) as engine:
        _emit_worklist(engine.conflicts(field, limit), csv, json)


def _emit_worklist(worklist: CurationList, csv: bool, json: bool) -> None:
    if csv:
        sys.stdout.write(worklist_table(worklist.entries))
    else:
        show.emit(worklist, json, show.worklist)


@_command(curation_app, "accept")
def curation_accept(
    file: Annotated[Path, typer.Argument(help="The CSV of the worklist, its column `decision` filled in.")],
    index: Index,
    json: Json = False,
) -> None:
    """Keep decisions for the next `hooke index`: term ids, several parted by `;`, or `none` for no term.

    Example: hooke curation accept worklist.csv --index my-index
    """
    from indexer.decisions import accept

    show.emit(accept(file, index, read_settings().cluster), json, show.accepted)


def _look(examples: list[str], unlike: list[str]) -> "Look":
    from hooke.client.backend import Look

    return Look.of(examples, unlike)


def _by_study(group: str) -> bool:
    return read_look({"group": group}).by_study


@contextmanager
def _open(directory: Path, model: str | None = None, weights: Path | None = None) -> "Iterator[LocalBackend]":
    from hooke.client.local import open_local

    with closing(open_local(directory, model=model, weights=weights)) as archive:
        yield archive
