"""A bound on request bodies that holds however they are sent."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api.problems import problem


class BodyLimit:
    """Answers 413 to a body of more bytes than allowed, by its header or, without one, as it arrives."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self._limit:
            await self._refuse(scope, receive, send)
            return
        counter = _Counter(receive, self._limit)
        try:
            await self._app(scope, counter, send)
        except _TooMuch:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = problem(413, "Too large", f"a request may have {self._limit} bytes at most: send a smaller image")
        await response(scope, receive, send)


class _TooMuch(Exception):
    """More bytes arrived than allowed."""


class _Counter:
    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooMuch
        return message
