"""One connection to a cluster, and how the driver's errors become Hooke's. Owner of the `elasticsearch` package."""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from elastic_transport import ConnectionTimeout, SerializationError, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, OrjsonSerializer, UnsupportedProductError

from hooke.errors import BackendUnavailable, BadInput, HookeError, SnapshotMismatch
from hooke.settings import ClusterSettings
from hooke.store.location import Location, read_location

logger = logging.getLogger(__name__)

Body = dict[str, Any]
"""JSON as Elasticsearch takes and gives it: of any shape, and never beyond this package."""
_RETRIED = (429, 502, 503, 504)
_KEEP_ALIVE = "5m"
_REFRESHES = 5
# a cluster that is starting, or has no master, is blocked too: SERVICE_UNAVAILABLE/1/state not recovered
_WRITES_BLOCKED = re.compile(r"(FORBIDDEN|TOO_MANY_REQUESTS)/(5|6|8|10|12|13)/")


def connect(location: Location, settings: ClusterSettings) -> Elasticsearch:
    """A client for the nodes of a location; nothing is sent yet. Raises BadInput for credentials or certificates
    that cannot be used.
    """
    nodes = read_location(settings.nodes).nodes if settings.nodes else location.nodes
    tls = any(node.startswith("https://") for node in nodes)
    options: dict[str, Any] = {}  # keyword arguments of the driver
    if tls:
        options["verify_certs"] = settings.verify_certs
        if settings.ca_certs:
            options["ca_certs"] = str(settings.ca_certs)
        if not settings.verify_certs:
            logger.warning(
                "HOOKE_ELASTICSEARCH_VERIFY_CERTS=false: anybody between here and %s can read and change everything, "
                "credentials too",
                ", ".join(nodes),
            )
            options["ssl_show_warn"] = False  # said above, once and by name
    if settings.user and settings.password:
        options["basic_auth"] = (settings.user, settings.password)
    try:
        return Elasticsearch(
            list(nodes),
            api_key=settings.api_key,
            request_timeout=settings.timeout_s,
            max_retries=3,
            retry_on_status=_RETRIED,
            serializer=OrjsonSerializer(),
            retry_on_timeout=False,  # a slow cluster is not helped by being asked again
            **options,
        )
    except (OSError, ValueError) as exc:
        raise BadInput(
            f"Elasticsearch at {location} cannot be asked this way ({exc}): check HOOKE_ELASTICSEARCH_*"
        ) from exc


class Cluster:
    """A connection to a location: every answer is whole, every error is Hooke's."""

    def __init__(self, location: Location, settings: ClusterSettings) -> None:
        self.location = location
        self.settings = settings
        self.client = connect(location, settings)

    def search(self, index: str, body: Body) -> Body:
        """One search."""
        return self._search(body, index)

    def _search(self, body: Body, index: str | None = None) -> Body:
        with cluster_errors(self.location):
            answer = self.client.search(index=index, body=body, allow_partial_search_results=False)
        return dict(whole(answer.body, self.location))

    def searches(self, index: str, bodies: Sequence[Body]) -> list[Body]:
        """Several searches in one request, answered in their order."""
        if not bodies:
            return []
        header: Body = {"allow_partial_search_results": False}
        lines = [line for body in bodies for line in (header, body)]
        with cluster_errors(self.location):
            answers = self.client.msearch(index=index, searches=lines).body["responses"]
            for answer in answers:
                if "error" in answer:
                    raise api_error(answer["status"], answer, self.location)
        return [dict(whole(answer, self.location)) for answer in answers]

    def scan(self, index: str, body: Body, *, size: int) -> Iterator[Body]:
        """Every hit of a search, sorted as it says, from one point in time; the sort must tell all apart."""
        with self._point_in_time(index) as point:
            after: Body = {}
            while True:
                page = {**body, **after, "size": size, "pit": point, "track_total_hits": False}
                hits = self._search(page)["hits"]["hits"]
                yield from hits
                if len(hits) < size:
                    return
                after = {"search_after": hits[-1]["sort"]}

    def refresh(self, *indices: str) -> None:
        """Make findable what was written, in every copy. Raises BackendUnavailable where that cannot be had."""
        for _ in range(_REFRESHES):
            with cluster_errors(self.location):
                shards = self.client.indices.refresh(index=list(indices))["_shards"]
            if not shards["failed"]:
                return
            time.sleep(1)  # a copy that was lost on the way is soon known to be
        raise BackendUnavailable(
            f"Elasticsearch at {self.location} has copies of {', '.join(indices)} that do not take in what was "
            "written: run the same command again when the cluster has recovered"
        )

    @contextmanager
    def _point_in_time(self, index: str) -> Iterator[Body]:
        with cluster_errors(self.location):
            opened = self.client.open_point_in_time(index=index, keep_alive=_KEEP_ALIVE)
        try:
            yield {"id": opened["id"], "keep_alive": _KEEP_ALIVE}
        finally:
            # what cannot be closed closes itself; an error on the way out must not hide the one that led here
            with suppress(HookeError), cluster_errors(self.location):
                self.client.close_point_in_time(id=opened["id"])

    def close(self) -> None:
        """Let go of connections."""
        self.client.close()


@contextmanager
def cluster_errors(location: Location) -> Iterator[None]:
    """Turn the driver's errors into Hooke's, naming the location and never a credential."""
    try:
        yield
    except ConnectionTimeout as exc:
        raise BackendUnavailable(f"Elasticsearch at {location} did not answer in time: ask again later") from exc
    except (SerializationError, UnsupportedProductError) as exc:
        raise BackendUnavailable(f"{location} answers, but not as Elasticsearch does: check the address") from exc
    except TlsError as exc:
        raise BackendUnavailable(
            f"Elasticsearch at {location} has a certificate that is not trusted here ({_first_line(exc.message)}): "
            "name the authority that signed it in HOOKE_ELASTICSEARCH_CA_CERTS"
        ) from exc
    except TransportError as exc:
        raise BackendUnavailable(
            f"Elasticsearch at {location} cannot be reached ({_first_line(exc.message)}): start it, or check the URL"
        ) from exc
    except ApiError as exc:
        raise api_error(exc.status_code, exc.body, location) from exc


def whole(response: Mapping[str, Any], location: Location) -> Mapping[str, Any]:
    """The response, if every shard answered in time. Raises BackendUnavailable: a part is not the answer."""
    shards = response.get("_shards", {})
    if response.get("timed_out") or shards.get("failed") or shards.get("successful", 0) < shards.get("total", 0):
        raise BackendUnavailable(
            f"Elasticsearch at {location} answered for {shards.get('successful', 0)} of {shards.get('total', 0)} "
            "shards: ask again when the cluster has recovered"
        )
    return response


def api_error(status: int, body: object, location: Location) -> HookeError:
    """What an error of the server is to Hooke: of a request, or of one of a bulk request's documents."""
    reason = _reason(body)
    if _WRITES_BLOCKED.search(str(body)):
        return BackendUnavailable(
            f"Elasticsearch at {location} accepts no writes ({reason}): free disk space, or lift the block"
        )
    if status in (401, 403):
        return BackendUnavailable(
            f"Elasticsearch at {location} refuses these credentials ({status}): set "
            "HOOKE_ELASTICSEARCH_API_KEY, or HOOKE_ELASTICSEARCH_USER and HOOKE_ELASTICSEARCH_PASSWORD"
        )
    # a context, or the node that had it, can be missing too: that is no matter of the snapshot, and passes
    if status == 404 and "index_not_found_exception" in str(body):
        return SnapshotMismatch(
            f"this snapshot is no longer kept at {location} ({reason}): search again from the start; "
            "a copy of an index directory has to be copied anew"
        )
    if status == 413:
        return BadInput(f"this is longer than Elasticsearch at {location} takes in one request: ask for less at once")
    if status == 400 and "too many" in reason.casefold():
        return BadInput(f"this asks for more than Elasticsearch takes in one query ({reason}): ask for less at once")
    if status == 400:
        return HookeError(f"Elasticsearch at {location} does not understand this request ({reason}): please report it")
    return BackendUnavailable(f"Elasticsearch at {location} cannot answer now ({status}: {reason}): try again")


def _reason(body: object) -> str:
    """The innermost reason that the server gives."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return _first_line(str(error or body or "no reason given"))
    failed = [shard.get("reason", {}) for shard in error.get("failed_shards", [])]
    causes = failed or error.get("root_cause") or [error]
    return _first_line(str(causes[0].get("reason") or error.get("type")))


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "no reason given"
