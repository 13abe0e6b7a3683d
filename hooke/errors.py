"""Every error Hooke raises on purpose, in one tree.

    HookeError                  status  exit code
    ├── BadInput                   400  2
    │   ├── BadQuery               400  2   text or parameters that strict parsing refuses; names the position
    │   ├── UnknownField           400  2
    │   ├── UnknownTerm            400  2
    │   ├── BadCursor              400  2
    │   ├── BadOntology            400  2   a file that is no ontology, or loses terms when loaded
    │   ├── UnreadableSource       400  2   metadata in no format Hooke reads
    │   ├── UnreadableImage        400  2
    │   ├── UnknownModel           400  2
    │   └── ZeroVector             400  2
    ├── NotFound                   404  1
    │   ├── UnknownRecord          404  1
    │   └── UnknownIndex           404  1
    ├── Conflict                   409  1
    │   ├── SpaceMismatch          409  1   vectors of two embedding spaces
    │   ├── SnapshotMismatch       409  1   a cursor of a snapshot that is gone
    │   └── IndexLocked            409  1   another indexer is writing
    ├── TooLarge                   413  1
    ├── CorruptIndex               500  1   a checksum or a length that does not hold
    ├── BackendUnavailable         503  1
    └── NoSpace                    507  1

A message says what, which one, and what to do about it, in one line.
"""


class HookeError(Exception):
    """Base of every error raised on purpose; `status` is for HTTP, `exit_code` for the command line."""

    status = 500
    exit_code = 1
    title = "Internal error"


class BadInput(HookeError):
    """The caller's input cannot be used; asking again with the same input cannot succeed."""

    status = 400
    exit_code = 2
    title = "Bad input"


class BadQuery(BadInput):
    """Query text that strict parsing refuses; `position` is the 0-based offset, or None."""

    title = "Bad query"

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class UnknownField(BadInput):
    """A field that no record has."""

    title = "Unknown field"


class UnknownTerm(BadInput):
    """A term id that no loaded ontology has."""

    title = "Unknown term"


class BadCursor(BadInput):
    """A cursor that Hooke did not make, or made for another query."""

    title = "Bad cursor"


class BadOntology(BadInput):
    """An ontology file that does not parse, or that would lose terms or edges when loaded."""

    title = "Bad ontology"


class UnreadableSource(BadInput):
    """A path whose metadata is in no format that Hooke reads."""

    title = "Unreadable source"


class UnreadableImage(BadInput):
    """Bytes that are no image, or an image that cannot be decoded."""

    title = "Unreadable image"


class UnknownModel(BadInput):
    """A model name that is unknown, or whose weights cannot be had here."""

    title = "Unknown model"


class ZeroVector(BadInput):
    """A vector of zero length: it has no direction to compare."""

    title = "Zero vector"


class NotFound(HookeError):
    """What was asked for by name does not exist."""

    status = 404
    title = "Not found"


class UnknownRecord(NotFound):
    """No study or image of this id."""

    title = "Unknown record"


class UnknownIndex(NotFound):
    """No index in this directory."""

    title = "Unknown index"


class Conflict(HookeError):
    """The request contradicts the state of the index."""

    status = 409
    title = "Conflict"


class SpaceMismatch(Conflict):
    """Vectors of two embedding spaces never meet."""

    title = "Embedding space mismatch"


class SnapshotMismatch(Conflict):
    """The snapshot that was asked for is gone."""

    title = "Snapshot gone"


class IndexLocked(Conflict):
    """Another indexer is writing to this index."""

    title = "Index locked"


class TooLarge(HookeError):
    """Input beyond a stated limit."""

    status = 413
    title = "Too large"


class CorruptIndex(HookeError):
    """A file of the index whose checksum or length does not hold."""

    title = "Corrupt index"


class BackendUnavailable(HookeError):
    """A backend does not answer; the same request may succeed later."""

    status = 503
    title = "Backend unavailable"


class NoSpace(HookeError):
    """The disk is full."""

    status = 507
    title = "No space left"
