"""The two ways to reach an index: a server, or a directory opened in this process."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx

from hooke.comparisons import (
    DuplicatesRequest,
    DuplicatesResult,
    OutliersRequest,
    OutliersResult,
    StudiesRequest,
    StudiesResult,
)
from hooke.errors import (
    BackendUnavailable,
    BadInput,
    Conflict,
    HookeError,
    NoSpace,
    NotFound,
    SnapshotMismatch,
    TooLarge,
    UnknownRecord,
)
from hooke.request import CompletionRequest, FacetRequest, LookOptions, SearchRequest, look_parameters
from hooke.results import (
    CombinedResult,
    CompletionResult,
    FacetLevel,
    IndexInfo,
    RecordDetail,
    SearchResult,
    SimilarResult,
)
from hooke.wire import (
    completion_parameters,
    duplicates_parameters,
    facet_parameters,
    from_plain,
    query_parameters,
)


@dataclass(frozen=True, slots=True)
class Look:
    """What images should look like: image files, ids of indexed images, and ids of images not to look like."""

    files: tuple[Path, ...] = ()
    images: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()

    @classmethod
    def of(cls, examples: Iterable[str | Path], negatives: Iterable[str]) -> "Look":
        """Examples told apart: files that are here, and ids. Raises UnknownRecord for what can be neither."""
        files: list[Path] = []
        ids: list[str] = []
        for each in examples:
            if os.path.isfile(each):  # not Path.is_file, which raises where an id is longer than a name may be
                files.append(Path(each))
            # an id is that of a study, a slash, and more
            elif isinstance(each, Path) or "/" not in each or each.startswith(("/", "./", "../")):
                raise UnknownRecord(f"{str(each)!r} is neither an image file here nor an indexed image's id: check it")
            else:
                ids.append(each)
        return cls(tuple(files), tuple(ids), tuple(negatives))


class Backend(Protocol):
    """What an archive asks. Every method raises the errors of `hooke.errors`."""

    def search(self, request: SearchRequest) -> SearchResult:
        """One page of a search."""
        ...

    def similar(self, look: Look, request: SearchRequest, options: LookOptions) -> SimilarResult:
        """Look-alikes."""
        ...

    def combined(self, look: Look, request: SearchRequest, options: LookOptions) -> CombinedResult:
        """Text and look together."""
        ...

    def facet(self, request: FacetRequest) -> FacetLevel:
        """One level of a facet."""
        ...

    def complete(self, request: CompletionRequest) -> CompletionResult:
        """What the last words of a text can become."""
        ...

    def duplicates(self, request: DuplicatesRequest) -> DuplicatesResult:
        """Groups of near-duplicates."""
        ...

    def outliers(self, request: OutliersRequest) -> OutliersResult:
        """The images of a study least like the rest of it."""
        ...

    def similar_studies(self, request: StudiesRequest) -> StudiesResult:
        """The studies most like one."""
        ...

    def detail(self, level: str, record_id: str) -> RecordDetail:
        """One record."""
        ...

    def thumbnail(self, image_id: str) -> bytes:
        """A JPEG or PNG."""
        ...

    def info(self) -> IndexInfo:
        """What the index holds."""
        ...

    def close(self) -> None:
        """Let go of connections or files."""
        ...


_LEVELS = {"study": "studies", "image": "images"}
_ERRORS: dict[int, type[HookeError]] = {
    400: BadInput,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    503: BackendUnavailable,
    507: NoSpace,
}


class HttpBackend:
    """A Hooke server."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(base_url=self._url, timeout=timeout_s)

    def search(self, request: SearchRequest) -> SearchResult:
        """One page of a search."""
        response = self._send("GET", f"/v1/search/{_LEVELS[request.level]}", params=query_parameters(request))
        return from_plain(response.json(), SearchResult)

    def similar(self, look: Look, request: SearchRequest, options: LookOptions) -> SimilarResult:
        """Look-alikes."""
        return from_plain(self._post_look("/v1/search/similar", look, request, options).json(), SimilarResult)

    def combined(self, look: Look, request: SearchRequest, options: LookOptions) -> CombinedResult:
        """Text and look together."""
        return from_plain(self._post_look("/v1/search/combined", look, request, options).json(), CombinedResult)

    def facet(self, request: FacetRequest) -> FacetLevel:
        """One level of a facet."""
        response = self._send("GET", f"/v1/facets/{quote(request.name, safe='')}", params=facet_parameters(request))
        return from_plain(response.json(), FacetLevel)

    def complete(self, request: CompletionRequest) -> CompletionResult:
        """What the last words of a text can become."""
        response = self._send("GET", "/v1/autocomplete", params=completion_parameters(request))
        return from_plain(response.json(), CompletionResult)

    def duplicates(self, request: DuplicatesRequest) -> DuplicatesResult:
        """Groups of near-duplicates."""
        response = self._send("GET", "/v1/duplicates", params=duplicates_parameters(request))
        return from_plain(response.json(), DuplicatesResult)

    def outliers(self, request: OutliersRequest) -> OutliersResult:
        """The images of a study least like the rest of it."""
        params = {"limit": request.limit, "neighbours": request.neighbours}
        response = self._send("GET", f"/v1/studies/{quote(request.study_id, safe='')}/outliers", params=params)
        return from_plain(response.json(), OutliersResult)

    def similar_studies(self, request: StudiesRequest) -> StudiesResult:
        """The studies most like one."""
        params = {"by": str(request.by), "limit": request.limit, "sample": request.sample}
        response = self._send("GET", f"/v1/studies/{quote(request.study_id, safe='')}/similar", params=params)
        return from_plain(response.json(), StudiesResult)

    def detail(self, level: str, record_id: str) -> RecordDetail:
        """One record."""
        response = self._send("GET", f"/v1/{_LEVELS[level]}/{quote(record_id, safe='')}")
        return from_plain(response.json(), RecordDetail)

    def thumbnail(self, image_id: str) -> bytes:
        """A JPEG or PNG."""
        return self._send("GET", f"/v1/images/{quote(image_id, safe='')}/thumbnail").content

    def info(self) -> IndexInfo:
        """What the index holds."""
        return from_plain(self._send("GET", "/v1/index/state").json(), IndexInfo)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post_look(self, path: str, look: Look, request: SearchRequest, options: LookOptions) -> httpx.Response:
        fields = [(name, value) for name, value in query_parameters(request) if name != "limit"]
        fields += [("k", str(request.limit)), *look_parameters(options).items()]
        fields += [("positive", image) for image in look.images] + [("negative", image) for image in look.negatives]
        files = [("file", (path.name, path.read_bytes())) for path in look.files]
        # a multipart body also when there is no file, so that repeated fields keep their order
        parts = [(name, (None, value.encode())) for name, value in fields]
        return self._send("POST", path, files=[*parts, *files])

    def _send(self, method: str, path: str, **more: object) -> httpx.Response:
        try:
            response = self._http.request(method, path, **more)  # type: ignore[arg-type]  # httpx's own keywords
        except httpx.TransportError as exc:
            raise BackendUnavailable(f"{self._url} does not answer ({exc}): is `hooke serve` running there?") from exc
        if response.is_success:
            return response
        raise _error(response)


def _error(response: httpx.Response) -> HookeError:
    try:
        problem = response.json()
        detail, title = str(problem["detail"]), str(problem.get("title", ""))
    except (ValueError, KeyError, TypeError):
        return BackendUnavailable(f"{response.url} answered {response.status_code}, and not as Hooke does")
    if title == SnapshotMismatch.title:
        return SnapshotMismatch(detail)
    return _ERRORS.get(response.status_code, HookeError)(detail)
