"""A bound on request bodies that holds however they are sent."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from search_api.problems import problem

logger = logging.getLogger(__name__)


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
        answer = _Answer(send, counter)
        # grouped, since middleware below may read in a task group; some routes turn it into an answer of their own
        try:
            await self._app(scope, counter, answer)
        except* _TooMuch:
            logger.info("%s %s: the body is larger than allowed", scope["method"], scope["path"])
        if counter.exceeded and not answer.started:
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

    @property
    def exceeded(self) -> bool:
        return self._left < 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self.exceeded:
            raise _TooMuch
        return message


class _Answer:
    """Passes an answer on, except to a body that turned out too large."""

    def __init__(self, send: Send, counter: _Counter) -> None:
        self._send = send
        self._counter = counter
        self.started = False

    async def __call__(self, message: Message) -> None:
        if self.started or not self._counter.exceeded:
            self.started = True
            await self._send(message)
