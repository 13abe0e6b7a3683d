"""Documents in bulk: all of them, or an error that says which was refused and why."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import ApiError, Elasticsearch

from hooke.errors import BackendUnavailable, HookeError, NoSpace
from hooke.store.elasticsearch.cluster import Body, cluster_errors
from hooke.store.location import Location

logger = logging.getLogger(__name__)

Operation = tuple[Body, ...]
"""What is to be done, and the document if there is one, as two lines of a bulk request."""

_BUSY = (429, 503)
_BLOCKED = "cluster_block_exception"  # has the status of a busy node, but does not pass
_TRIES = 7
_FIRST_PAUSE_S = 0.25
_AT_ONCE_BYTES = 2**23
_AT_ONCE = 5000


def put(document_id: str, document: Body) -> Operation:
    """Write a document, over any that has its id."""
    return {"index": {"_id": document_id}}, document


def remove(document_id: str) -> Operation:
    """Remove a document, if it is there."""
    return ({"delete": {"_id": document_id}},)


def apply(client: Elasticsearch, location: Location, index: str, operations: Iterable[Operation]) -> None:
    """Do all operations, again for documents that busy nodes refuse.

    Raises NoSpace when the cluster takes no writes, BackendUnavailable when it stays busy, HookeError naming a
    document that it does not take; some operations are then done and some are not.
    """
    for chunk in _chunks(operations):
        _apply_some(client, location, index, chunk)


def _apply_some(client: Elasticsearch, location: Location, index: str, pending: Sequence[Operation]) -> None:
    for attempt in range(_TRIES):
        answers = _send(client, location, index, pending)
        refused = [(each, answer) for each, answer in zip(pending, answers, strict=True) if not _done(answer)]
        for _, answer in refused:
            if not _may_pass(answer) or attempt == _TRIES - 1:
                raise _refusal(answer, location, index)
        if not refused:
            return
        logger.info("%d of %d documents refused by busy nodes: trying again", len(refused), len(pending))
        time.sleep(_FIRST_PAUSE_S * 2**attempt)
        pending = [each for each, _ in refused]


def _send(client: Elasticsearch, location: Location, index: str, pending: Sequence[Operation]) -> list[Body]:
    """The answer to each operation; the same to all when a busy node does not take the request."""
    with cluster_errors(location):
        try:
            response = client.bulk(index=index, operations=[line for each in pending for line in each])
        except ApiError as exc:
            if exc.status_code not in _BUSY or _BLOCKED in str(exc.body):
                raise
            return [{"status": exc.status_code, "error": str(exc.body)}] * len(pending)
    return [answer for item in response["items"] for answer in item.values()]


def _done(answer: Mapping[str, Any]) -> bool:  # JSON as Elasticsearch gives it
    return "error" not in answer  # what is not there to be removed has status 404, and no error


def _may_pass(answer: Mapping[str, Any]) -> bool:  # as above
    return answer["status"] in _BUSY and _BLOCKED not in str(answer["error"])


def _refusal(answer: Mapping[str, Any], location: Location, index: str) -> HookeError:  # as above
    error = answer["error"]
    reason = str(error.get("reason") if isinstance(error, dict) else error)[:300]
    if _BLOCKED in str(error):
        return NoSpace(f"Elasticsearch at {location} accepts no writes ({reason}): free disk space there")
    if answer["status"] in _BUSY:
        return BackendUnavailable(f"Elasticsearch at {location} is too busy to write ({reason}): try again later")
    return HookeError(f"{index} does not take {answer.get('_id')} ({reason}): please report it")


def _chunks(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    chunk: list[Operation] = []
    size = 0
    for operation in operations:
        chunk.append(operation)
        size += sum(len(str(line)) for line in operation)
        if size >= _AT_ONCE_BYTES or len(chunk) >= _AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
