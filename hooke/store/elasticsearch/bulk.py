"""Sending documents: a few requests at a time, retried while the cluster is busy, each refusal told by document."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, cast

from elasticsearch.helpers import streaming_bulk

from hooke.errors import BackendUnavailable
from hooke.store.elasticsearch.cluster import Body, Cluster, api_error, cluster_errors

_REQUESTS = 2
_WAITING = 4
_DOCUMENTS = 1_000
_BYTES = 8 * 2**20
_BUSY = (429, 502, 503, 504)
_RETRIES = 8
_ANSWERED = "took,errors,items.*._id,items.*.status,items.*.result,items.*.error"
_FIRST_PAUSE_S = 0.2
_REFUSED = 400
"""The status that speaks of a document; all others speak of the cluster."""
MISSING = 404


Action = tuple[Body, Body | bytes | None]
"""What is to be done to which document, and the document if it takes one: the two lines of a bulk request."""


class Put(NamedTuple):
    """A new version of a record. supersedes: the document that dies when this one is in.

    was_live: a live version came before this one, which stays if this one is refused. body: JSON already, a quarter of
    the size and in one piece: hundreds wait to be sent.
    """

    record_id: str
    document_id: str
    ordinal: int
    body: bytes
    supersedes: str | None = None
    was_live: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Versions for one index, the state that what they supersede dies in, and what they name that may be new."""

    index: str
    puts: Sequence[Put]
    state: int
    sets: Sequence[Action]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a version for an index: taken, or refused for a reason."""

    index: str
    put: Put
    reason: str | None


class Writes:
    """Carries out actions on documents, one request after another; busy nodes are asked again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client = cluster.client.options(
            request_timeout=cluster.settings.bulk_timeout_s,
            max_retries=_RETRIES,
            retry_on_status=(),  # `streaming_bulk` waits between its tries, the transport does not
            # the same documents under the same ids: asking twice changes nothing
            retry_on_timeout=True,
        )

    def write(
        self, actions: Iterable[Action], *, ignored_status: int | None = None
    ) -> Generator[tuple[str, str | None]]:
        """Carry out actions; gives each document's id and why it was refused, or None, in no order.

        Raises BackendUnavailable where it is not the document that is wrong: it must not pass for a refused one.
        """
        sent = streaming_bulk(
            self._client,
            cast("Iterable[Body]", actions),  # in the form that the callback makes of any other, and slowly
            expand_action_callback=_as_it_is,
            chunk_size=_DOCUMENTS,
            max_chunk_bytes=_BYTES,
            raise_on_error=False,
            max_retries=_RETRIES,
            initial_backoff=_FIRST_PAUSE_S,
            max_backoff=10,
            retry_on_status=_BUSY,
            filter_path=_ANSWERED,
        )
        # closed here, in its own thread: left to the collector, the driver complains on the terminal
        answers = cast("Generator[tuple[bool, Body]]", sent)
        with cluster_errors(self._cluster.location), closing(answers):
            for ok, answer in answers:
                result: Body = next(iter(answer.values()))
                fine = ok or result["status"] == ignored_status
                if not fine and result["status"] != _REFUSED:
                    raise api_error(result["status"], result, self._cluster.location)
                yield result["_id"], None if fine else _reason(result)

    def write_all(self, actions: Iterable[Action], *, ignored_status: int | None = None) -> int:
        """Carry out actions that must not fail; returns how many there were. Raises BackendUnavailable."""
        done = 0
        with closing(self.write(actions, ignored_status=ignored_status)) as answers:
            for document, reason in answers:
                if reason:
                    raise BackendUnavailable(
                        f"Elasticsearch at {self._cluster.location} would not change document {document} ({reason}): "
                        "run the same command again"
                    )
                done += 1
        return done


class Bulk:
    """Batches on their way; `send` waits when there are too many, so that memory stays bounded."""

    def __init__(self, cluster: Cluster, on_sent: Callable[[Sent], None]) -> None:
        self._writes = Writes(cluster)
        self._on_sent = on_sent
        self._pool = ThreadPoolExecutor(_REQUESTS, thread_name_prefix="bulk")
        self._waiting: deque[Future[list[Sent]]] = deque()

    def send(self, batch: Batch) -> None:
        """Queue a batch. Raises BackendUnavailable for an earlier one that could not be sent."""
        while len(self._waiting) >= _WAITING:
            self._next()
        self._waiting.append(self._pool.submit(self._carry_out, batch))

    def drain(self) -> None:
        """Wait for everything. Raises BackendUnavailable."""
        while self._waiting:
            self._next()

    def close(self) -> None:
        """Wait for what is under way and forget the rest."""
        self._pool.shutdown(cancel_futures=True)

    def _next(self) -> None:
        for sent in self._waiting.popleft().result():
            self._on_sent(sent)

    def _carry_out(self, batch: Batch) -> list[Sent]:
        # sets can only be refused for their field's name, and with them the records that have the field
        versions = (put(batch.index, p.document_id, p.body) for p in batch.puts)
        reasons = dict(self._writes.write(chain(batch.sets, versions)))
        sent = [Sent(batch.index, put, reasons[put.document_id]) for put in batch.puts]
        dying = [s.put.supersedes for s in sent if s.put.supersedes and not s.reason]
        self._writes.write_all(update(batch.index, document, {"died": batch.state}) for document in dying)
        return sent


def put(index: str, document_id: str, document: Body | bytes) -> Action:
    """The action that writes a document, over any that has its id."""
    return {"index": {"_index": index, "_id": document_id}}, document


def update(index: str, document_id: str, change: Body) -> Action:
    """The action that changes a document's fields."""
    return {"update": {"_index": index, "_id": document_id}}, {"doc": change}


def delete(index: str, document_id: str) -> Action:
    """The action that deletes a document; one that is gone already answers `MISSING`."""
    return {"delete": {"_index": index, "_id": document_id}}, None


def _as_it_is(action: Any) -> Any:  # the driver's type for actions does not know of ours
    return action


def _reason(result: Body) -> str:
    error = result.get("error")
    if not isinstance(error, dict):
        return str(error or result.get("result") or result.get("status"))
    # "[1:525] failed to parse field [pixels] of type [keyword] in document with id '50-1'. Preview of field's value: …"
    what = str(error.get("reason")).partition(" in document with id ")[0].partition("] failed to ")
    cause = str(error.get("caused_by", {}).get("reason", ""))[:200]
    told = f"failed to {what[2]}" if what[2] else what[0]
    return " ".join(f"{told[:200]}{f' ({cause})' if cause else ''}".split())
