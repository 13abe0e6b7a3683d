"""`hooke.connect(url_or_directory)`: search in a notebook, results that page themselves and become tables."""

import base64
import html
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from hooke.client.backend import Backend, HttpBackend, Look
from hooke.client.comparisons import Duplicates, Outliers, SimilarStudies
from hooke.client.table import table
from hooke.comparisons import NEAR_DUPLICATE, DuplicatesRequest, OutliersRequest, StudiesRequest, read_by
from hooke.errors import HookeError
from hooke.model import Level
from hooke.request import (
    MAX_LIMIT,
    CompletionRequest,
    FacetRequest,
    Filter,
    LookOptions,
    SearchRequest,
    read_conditions,
    read_expand,
    read_same,
    read_sort,
    read_views,
)
from hooke.results import (
    CombinedHit,
    CombinedResult,
    Completion,
    FacetLevel,
    FacetValue,
    IndexInfo,
    QueryReport,
    RecordDetail,
    SearchHit,
    SearchResult,
    SimilarHit,
    SimilarResult,
)

if TYPE_CHECKING:
    import pandas as pd

Choice = str | Iterable[str]
_SHOWN = 12


def connect(where: str | Path, *, timeout_s: float = 60.0) -> "Archive":
    """Open a server's URL, or an index directory in this process.

    Raises UnknownIndex for a directory without an index; a server is first asked when it is first needed.
    """
    if str(where).startswith(("http://", "https://")):
        return Archive(HttpBackend(str(where), timeout_s=timeout_s))
    from hooke.client.local import open_local

    return Archive(open_local(Path(where)))


class Archive:
    """An index that can be asked. Fields are keywords: `search("fungi", imaging_method="light microscopy")`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections or files."""
        self._backend.close()

    def search(
        self,
        text: str = "",
        *,
        level: str = "study",
        facets: Iterable[str] = (),
        expand: str | None = None,
        where: Iterable[str] = (),
        exclude: Mapping[str, Choice] | None = None,
        page_size: int = 100,
        exclude_inferred: bool = False,
        sort: str | None = None,
        explain: bool = False,
        same: str = "",
        **fields: Choice,
    ) -> "Results":
        """Records that match text and fields.

        A field takes an id, a label or a plain value, or several of which any will do; `exclude` takes what no result
        may have; `where` takes conditions such as `"year>=2020"`; with `exclude_inferred` a term stands for itself,
        without what is below it; `sort` is relevance, date, title or size, with `-` the other way round: `"-date"`;
        with `explain` the reasons of hits tell the annotations; with `same="dataset"` one dataset or image of a study
        satisfies all of it. Results fetch their next page when it is needed.
        """
        asked = _request(text, fields, exclude, where, facets, expand, level=level, limit=min(page_size, MAX_LIMIT))
        request = replace(
            asked,
            exclude_inferred=exclude_inferred,
            sort=read_sort(sort),
            explain=explain,
            same_dataset=read_same(same),
        )
        return Results(self._backend, request, self._backend.search(request))

    def similar(
        self,
        *like: str | Path,
        k: int = 10,
        unlike: Iterable[str] = (),
        text: str = "",
        facets: Iterable[str] = (),
        where: Iterable[str] = (),
        exclude: Mapping[str, Choice] | None = None,
        leave_out: str = "",
        by_study: bool = False,
        examples: str = "",
        min_percentile: float | None = None,
        similar_set: int | None = None,
        semantic: float = 0.0,
        region: str = "",
        channel: str | int = "",
        views: str = "",
        explain: bool = False,
        exact: bool = False,
        **fields: Choice,
    ) -> "LookAlikes":
        """The k images most like the examples, among those that text and fields allow.

        An example is an image file, or the id of an indexed image; `unlike` takes ids. `leave_out` is `study`,
        `dataset` or `plate`: nothing that shares it with an example. `by_study` gives the best image of each study.
        `examples` is `average`, near to the mean of the examples, or `best`, near to any, less the best of `unlike`.
        `min_percentile` keeps what is more alike than this share of random pairs; facets count all of it, or the
        `similar_set` nearest. `semantic`, 0 to 1, is how much annotations count in the order.
        `region`, "x,y,width,height", compares a part of the example, `channel` one of its channels, by number or name;
        `views` says with what: whole, channel or tile. With `explain` hits tell which views are most alike.
        `exact` searches exactly also where the index would answer approximately.
        """
        asked = _request(text, fields, exclude, where, facets, None, level="image", limit=k)
        request, seen = replace(asked, explain=explain), read_views(region, str(channel), views)
        options = LookOptions(
            leave_out,
            by_study,
            min_percentile,
            similar_set,
            semantic,
            views=seen,
            examples=examples,
            exact=exact,
        )
        return LookAlikes(self._backend, self._backend.similar(Look.of(like, unlike), request, options))

    def combined(
        self,
        text: str,
        *like: str | Path,
        k: int = 10,
        unlike: Iterable[str] = (),
        facets: Iterable[str] = (),
        where: Iterable[str] = (),
        exclude: Mapping[str, Choice] | None = None,
        leave_out: str = "",
        by_study: bool = False,
        examples: str = "",
        weight: float | None = None,
        exact: bool = False,
        **fields: Choice,
    ) -> "LookAlikes":
        """The k images that rank best by text and by look together, among those that the fields allow.

        Ranks are fused, or with a `weight`, 0 to 1, so much of the look's percentile and the rest of the text's score.
        """
        request = _request(text, fields, exclude, where, facets, None, level="image", limit=k)
        options = LookOptions(leave_out, by_study, weight=weight, examples=examples, exact=exact)
        return LookAlikes(self._backend, self._backend.combined(Look.of(like, unlike), request, options))

    def duplicates(
        self,
        text: str = "",
        *,
        threshold: float = NEAR_DUPLICATE,
        across_studies: bool = False,
        expand: str | None = None,
        where: Iterable[str] = (),
        exclude: Mapping[str, Choice] | None = None,
        **fields: Choice,
    ) -> Duplicates:
        """Groups of near-duplicates among the images that text and fields allow: what leaks between parts of a set.

        An image of a training set and one of its test set should not be of one group. With `across_studies` only
        images of two studies make a pair.
        """
        search = _request(text, fields, exclude, where, (), expand, level="image", limit=1)
        return Duplicates(self._backend.duplicates(DuplicatesRequest(search, threshold, across_studies)))

    def outliers(self, study_id: str, *, limit: int = 10, neighbours: int = 5) -> Outliers:
        """The images of a study that are least like the rest of it, by their k-th nearest: k is `neighbours`."""
        return Outliers(self._backend.outliers(OutliersRequest(study_id, limit, neighbours)))

    def similar_studies(self, study_id: str, *, by: str = "both", limit: int = 10, sample: int = 100) -> SimilarStudies:
        """The studies most like one, by `look`, `meaning` or `both`; at most `sample` images of each are looked at."""
        return SimilarStudies(self._backend.similar_studies(StudiesRequest(study_id, read_by(by), limit, sample)))

    def facet(
        self,
        field: str,
        text: str = "",
        *,
        parent: str = "",
        level: str = "study",
        count_studies: bool = False,
        expand: str | None = None,
        where: Iterable[str] = (),
        exclude: Mapping[str, Choice] | None = None,
        same: str = "",
        **fields: Choice,
    ) -> FacetLevel:
        """One level of a field's facet among the records that match: the children of `parent`, or the top.

        Numbers of a field without an ontology come as ranges. With `count_studies` each value also says of how many
        studies its images are.
        """
        asked = _request(text, fields, exclude, where, (), expand, level=level, limit=1)
        search = replace(asked, count_studies=count_studies, same_dataset=read_same(same))
        return self._backend.facet(FacetRequest(field, parent, search))

    def complete(
        self, text: str, *, level: str = "study", field: str | None = None, limit: int = 10
    ) -> tuple[Completion, ...]:
        """What the last words of a text can become, best first: terms, values of fields, studies.

        A field leaves only what that field has.
        """
        return self._backend.complete(CompletionRequest(text, Level(level), field, limit)).completions

    def study(self, study_id: str) -> RecordDetail:
        """One study, whole."""
        return self._backend.detail("study", study_id)

    def image(self, image_id: str) -> RecordDetail:
        """One image, whole."""
        return self._backend.detail("image", image_id)

    def thumbnail(self, image_id: str) -> bytes:
        """An image's thumbnail, JPEG or PNG."""
        return self._backend.thumbnail(image_id)

    def info(self) -> IndexInfo:
        """What the index holds."""
        return self._backend.info()


class Results:
    """The hits of a search, fetched page by page as they are iterated; `len` is the exact total."""

    def __init__(self, backend: Backend, request: SearchRequest, first: SearchResult) -> None:
        self._backend = backend
        self._request = request
        self._first = first

    def __len__(self) -> int:
        return self._first.total

    def __iter__(self) -> Iterator[SearchHit]:
        page = self._first
        yield from page.hits
        while page.cursor:
            page = self._backend.search(replace(self._request, cursor=page.cursor, facets=()))
            yield from page.hits

    @property
    def total(self) -> int:
        """How many records match."""
        return self._first.total

    @property
    def facets(self) -> Mapping[str, tuple[FacetValue, ...]]:
        """The counts of the facets asked for."""
        return self._first.facets

    @property
    def query(self) -> QueryReport:
        """What the query was understood to mean."""
        return self._first.query

    def to_pandas(self, limit: int | None = None) -> "pd.DataFrame":
        """The hits as a table, all of them or the first `limit`."""
        hits = self if limit is None else islice(self, limit)
        return table(hits, ("id", "study_id", "title", "score"))

    def _repr_html_(self) -> str:
        return _gallery(self._backend, self._first.hits[:_SHOWN], f"{self.total} {self._request.level} hits")


class LookAlikes:
    """Images by similarity, nearest first; the whole result is in `result`."""

    def __init__(self, backend: Backend, result: SimilarResult | CombinedResult) -> None:
        self._backend = backend
        self.result = result

    def __len__(self) -> int:
        return len(self.result.hits)

    def __iter__(self) -> Iterator[SimilarHit | CombinedHit]:
        return iter(self.result.hits)

    @property
    def facets(self) -> Mapping[str, tuple[FacetValue, ...]]:
        """Counts over these hits."""
        return self.result.facets

    @property
    def query(self) -> QueryReport:
        """What text and fields were understood to mean."""
        return self.result.query

    def to_pandas(self) -> "pd.DataFrame":
        """The hits as a table."""
        kind = CombinedHit if isinstance(self.result, CombinedResult) else SimilarHit
        return table(self.result.hits, [each.name for each in fields(kind)])

    def _repr_html_(self) -> str:
        exact = "exact" if self.result.exact else "approximate"
        return _gallery(self._backend, self.result.hits[:_SHOWN], f"{len(self)} of {self.result.candidates}, {exact}")


def _request(
    text: str,
    fields: Mapping[str, Choice],
    exclude: Mapping[str, Choice] | None,
    where: Iterable[str],
    facets: Iterable[str],
    expand: str | None,
    *,
    level: str,
    limit: int,
) -> SearchRequest:
    conditions, ranges = read_conditions(where, ())
    chosen = [Filter(name, _values(value)) for name, value in fields.items()]
    excluded = [Filter(name, _values(value), negate=True) for name, value in (exclude or {}).items()]
    return SearchRequest(
        Level(level),
        text,
        (*chosen, *excluded, *conditions),
        ranges,
        tuple(facets),
        expand=read_expand(expand),
        limit=limit,
    )


def _values(choice: Choice) -> tuple[str, ...]:
    return (choice,) if isinstance(choice, str) else tuple(map(str, choice))


def _gallery(backend: Backend, hits: Iterable[SearchHit | SimilarHit | CombinedHit], caption: str) -> str:
    cards = "".join(_card(backend, hit) for hit in hits)
    style = "display:flex;flex-wrap:wrap;gap:8px"
    return f"<p>{html.escape(caption)}</p><div style='{style}'>{cards}</div>"


def _card(backend: Backend, hit: SearchHit | SimilarHit | CombinedHit) -> str:
    title = html.escape(hit.title)
    picture = _picture(backend, hit.id) if hit.id != hit.study_id else ""
    caption = f"<figcaption title='{html.escape(hit.id)}'>{title}</figcaption>"
    return f"<figure style='margin:0;width:140px'>{picture}{caption}</figure>"


def _picture(backend: Backend, image_id: str) -> str:
    try:
        content = backend.thumbnail(image_id)
    except HookeError:  # an image whose pixels were never read has no thumbnail; its card is text
        return ""
    kind = "png" if content.startswith(b"\x89PNG") else "jpeg"
    data = base64.b64encode(content).decode()
    return f"<img width='140' src='data:image/{kind};base64,{data}'>"
