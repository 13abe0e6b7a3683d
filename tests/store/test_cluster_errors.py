"""What an answer of the server is to Hooke."""

import pytest

from hooke.errors import BackendUnavailable, BadInput, HookeError, SnapshotMismatch
from hooke.store.elasticsearch.cluster import api_error
from hooke.store.location import Location

PLACE = Location(("http://a:9200",), "mice")


@pytest.mark.parametrize(
    ("status", "kind", "reason", "expected"),
    [
        (404, "index_not_found_exception", "no such index [mice-images-1-7]", SnapshotMismatch),
        (404, "search_context_missing_exception", "No search context found for id [12]", BackendUnavailable),
        (404, "resource_not_found_exception", "node [X] is not part of the cluster: [Y]", BackendUnavailable),
        (429, "circuit_breaking_exception", "data too large", BackendUnavailable),
        (503, "search_phase_execution_exception", "all shards failed", BackendUnavailable),
        (413, "", "", BadInput),
    ],
)
def test_what_passes_is_told_from_what_is_gone(status: int, kind: str, reason: str, expected: type[HookeError]) -> None:
    error = {"type": kind, "reason": reason, "root_cause": [{"type": kind, "reason": reason}]}
    assert type(api_error(status, {"error": error, "status": status}, PLACE)) is expected
