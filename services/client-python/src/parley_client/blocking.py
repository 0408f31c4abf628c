from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Coroutine, Iterator, TypeVar

from .client import ParleyClient
from .counters import Counters
from .errors import ParleyError
from .tokens import TokenProvider
from .types import Insight, Message

T = TypeVar("T")


class BlockingClient:
    """:class:`ParleyClient` for programs without asyncio: a thread of its own holds the connection, any thread may send."""

    def __init__(self, url: str, *, token: str | TokenProvider, **options: Any) -> None:
        """The options of :class:`ParleyClient`. Returns with the first session, or raises ParleyError."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="parley-client", daemon=True)
        self._thread.start()
        try:
            self._client = self._call(self._connected(url, token, options))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close(timeout=10.0 if kind is None else 0.0)

    @property
    def counters(self) -> Counters:
        return self._client.counters

    @property
    def pending(self) -> int:
        """Messages that are not settled yet."""
        return self._client.pending

    def send(self, message: Message, timeout: float | None = None) -> None:
        """Returns when the message is safe. ``concurrent.futures.TimeoutError`` ends the waiting, not the sending."""
        self.submit(message).result(timeout)

    def submit(self, message: Message) -> Future[None]:
        """As ``send``, without waiting. A thread's messages go in the order of its calls."""
        if self._loop.is_closed():
            future: Future[None] = Future()
            future.set_exception(ParleyError("closed", "the client is closed"))
            return future
        return asyncio.run_coroutine_threadsafe(self._client.send(message), self._loop)

    def room(self) -> None:
        """Returns when ``submit`` would not be refused with ``buffer_full``."""
        self._call(self._client.room())

    def insights(self, timeout: float | None = None) -> Iterator[Insight]:
        """What became of the messages, as it comes: until the client is closed, or none came for ``timeout`` seconds."""
        while (insight := self._call(self._next_insight(timeout))) is not None:
            yield insight

    def close(self, timeout: float = 10.0) -> None:
        """Waits for acks, at most ``timeout`` seconds, then says goodbye."""
        if self._loop.is_closed():
            return
        try:
            self._call(self._client.close(timeout))
        finally:
            self._stop()

    @staticmethod
    async def _connected(url: str, token: str | TokenProvider, options: dict[str, Any]) -> ParleyClient:
        client = ParleyClient(url, token=token, **options)
        await client.connect()
        return client

    async def _next_insight(self, timeout: float | None) -> Insight | None:
        async def first() -> Insight | None:
            async for insight in self._client.insights:
                return insight
            return None

        try:
            return await asyncio.wait_for(first(), timeout)
        except asyncio.TimeoutError:
            return None

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
