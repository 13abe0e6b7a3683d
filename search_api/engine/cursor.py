"""Opaque cursors: a position in the result of one query on one snapshot."""

import base64
import binascii
import json
import struct
from dataclasses import asdict, replace
from hashlib import blake2b

from hooke.errors import BadCursor, SnapshotMismatch
from hooke.query import Position
from hooke.request import SearchRequest

_LAYOUT = struct.Struct("<QfI16s")


def make_cursor(position: Position, snapshot: int, request: SearchRequest) -> str:
    """The cursor of a page's end."""
    body = _LAYOUT.pack(snapshot, position.score, position.ordinal, _query_digest(request))
    return base64.urlsafe_b64encode(body + _checksum(body)).decode().rstrip("=")


def read_cursor(text: str, snapshot: int, request: SearchRequest) -> Position:
    """The position of a cursor. Raises BadCursor, or SnapshotMismatch when the index has changed since."""
    try:
        # strict: the lenient decoders pass over what is no base64, and then many texts are one cursor
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadCursor(f"cursor {text[:40]!r} is not one of Hooke's: start again without it") from exc
    body, checksum = raw[: _LAYOUT.size], raw[_LAYOUT.size :]
    if len(body) != _LAYOUT.size or checksum != _checksum(body):
        raise BadCursor(f"cursor {text[:40]!r} is not one of Hooke's: start again without it")
    made_for, score, ordinal, digest = _LAYOUT.unpack(body)
    if digest != _query_digest(request):
        raise BadCursor("the cursor belongs to another query: keep text, filters, expand and sort as they were")
    if made_for != snapshot:
        raise SnapshotMismatch("the cursor has expired, since the index has changed: start again without it")
    return Position(score, ordinal)


def _query_digest(request: SearchRequest) -> bytes:
    # how much is given back may change from page to page, what is asked may not
    asked = asdict(replace(request, limit=1, cursor=None, facets=(), facet_limit=1, explain=False, count_studies=False))
    return blake2b(json.dumps(asked, sort_keys=True).encode(), digest_size=16).digest()


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=4, person=b"hooke-cursor").digest()
