"""Where a cluster's part of an index is: `http://host:9200/prefix`, with more nodes after commas."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from hooke.errors import BadInput

DEFAULT_PREFIX = "hooke"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")


@dataclass(frozen=True, slots=True)
class Location:
    """The nodes to ask, each `http(s)://host:port`, and what the names of its indices begin with."""

    nodes: tuple[str, ...]
    prefix: str = DEFAULT_PREFIX

    def __str__(self) -> str:
        return f"{','.join(self.nodes)}/{self.prefix}"


def read_location(text: str) -> Location:
    """The location a URL names. Raises BadInput, never repeating a password.

    >>> read_location("http://localhost:9200")
    Location(nodes=('http://localhost:9200',), prefix='hooke')
    >>> str(read_location("https://a:9200,https://b:9200/mice"))
    'https://a:9200,https://b:9200/mice'
    """
    if "@" in text:  # wherever it stands: a password with a slash in it is no part of a host to any parser
        raise BadInput(
            "a store's URL is kept in the index directory, so it may hold no credentials: "
            "set HOOKE_ELASTICSEARCH_API_KEY, or HOOKE_ELASTICSEARCH_USER and HOOKE_ELASTICSEARCH_PASSWORD"
        )
    *others, last = text.strip().split(",")
    prefix = urlsplit(last).path.strip("/") or DEFAULT_PREFIX
    if not _PREFIX.fullmatch(prefix):
        raise BadInput(f"index prefix {prefix!r}: up to 100 of a-z, 0-9, '_', '.', '-', the first a letter or a digit")
    return Location(tuple(map(_node, (*others, last))), prefix)


def _node(text: str) -> str:
    try:
        url = urlsplit(text.strip())
        port = url.port or (443 if url.scheme == "https" else 9200)
    except ValueError as exc:
        raise BadInput("the port of a store's URL is no number: write http://host:9200/prefix") from exc
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        # what follows may be a key
        shown = re.split("[?#]", text.strip())[0]
        raise BadInput(f"{shown!r} is no URL of a store: write http://host:9200/prefix")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}:{port}"
