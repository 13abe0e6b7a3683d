"""How the page's files are served: from this folder alone, and never stale."""

import os
from pathlib import Path

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

WEB = Path(__file__).parent / "web"

_HEADERS = {
    # the files keep their names between releases: browsers ask each time and are told by ETag that nothing changed
    "Cache-Control": "no-cache",
    # blob: is the preview of a dropped image
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Assets(StaticFiles):
    """The page's files, each with its ETag and the headers that keep it to this server."""

    def __init__(self) -> None:
        super().__init__(directory=WEB)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """One file, or 304 when the browser has it."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
