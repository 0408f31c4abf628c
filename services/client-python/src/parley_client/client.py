from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType
from typing import Any, AsyncIterator, Callable, Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from . import frames
from .connection_end import TOO_BIG
from .counters import Counters
from .errors import ParleyError, text_of
from .insight_feed import InsightFeed
from .link import Link, LinkOptions
from .messages import encode, frame_limit
from .outbox import Outbox
from .tokens import TokenProvider, clean
from .types import Insight, Message

_MAX_PAUSE_S = 60.0
_RETRY_FALLBACK_S = 1.0
_MAX_BUFFERED_CHARS = 16 << 20
"""At most 64 MiB of memory, since a character takes up to four bytes. The last message that is taken may exceed it."""


class ParleyClient:
    """A bot's connection to Parley, for asyncio.

    ``send`` returns when the message is safe; what lies between (lost connections, restarts, temporary nacks) is handled
    here: a message is sent again, with a raised ``attempt``, until the gateway acks it. Times are in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | TokenProvider,
        insights: bool = False,
        max_buffered: int = 1_024,
        max_in_flight: int | None = None,
        max_buffered_insights: int = 1_024,
        connect_timeout: float = 30.0,
        answer_timeout: float = 120.0,
        backoff: tuple[float, float] = (0.5, 20.0),
        on_problem: Callable[[ParleyError], object] | None = None,
        on_closed: Callable[[ParleyError], object] | None = None,
        connect_options: Mapping[str, Any] | None = None,
    ) -> None:
        """``token`` is one, or a function (plain or async) that gives one: asked before each connection, and before an end.

        ``answer_timeout``: a connection whose messages have waited so long, without an answer to any, is given up for
        another. ``connect_options`` go to ``websockets.connect``: ``ssl``, ``proxy``, ``local_addr``.
        Raises ParleyError ``invalid_option``.
        """
        if min(max_buffered, max_buffered_insights, max_in_flight or 1) < 1:
            raise ParleyError("invalid_option", "max_buffered, max_buffered_insights and max_in_flight are from 1")
        self._options = LinkOptions(
            url_of=_stream_url(url, insights),
            token=_provider(token),
            renewable=callable(token),
            backoff_s=backoff,
            answer_timeout_s=answer_timeout,
            connect_options=connect_options or {},
        )
        self._max_buffered = max_buffered
        self._max_in_flight = max_in_flight
        self._connect_timeout = connect_timeout
        self._on_problem = on_problem
        self._on_closed = on_closed
        self._outbox = Outbox()
        self._changed = asyncio.Event()
        self._opened: asyncio.Future[None] | None = None
        self._run: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._limits: Mapping[str, float] | None = None
        self._paused_until = 0.0
        self._closing = False
        self._closed_by: ParleyError | None = None
        self.counters = Counters()
        self._insights = InsightFeed(max_buffered_insights, self.counters)

    async def __aenter__(self) -> ParleyClient:
        await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        await self.close(timeout=10.0 if kind is None else 0.0)

    async def connect(self) -> None:
        """Returns with the first session.

        Raises ParleyError ``connect_timeout``, or ``handshake_refused`` with the gateway's code in ``detail``.
        """
        if self._run:
            raise ParleyError("invalid_option", "this client was connected before")
        self._opened = asyncio.get_running_loop().create_future()
        self._link = Link(self._options, self)
        self._run = asyncio.create_task(self._link.run())
        try:
            await asyncio.wait_for(asyncio.shield(self._opened), self._connect_timeout)
        except asyncio.TimeoutError:
            why = self._link.last_problem or "the gateway did not answer"
            error = ParleyError("connect_timeout", f"no session within {self._connect_timeout:g} s: {why}", why)
            await self._end(error)
            raise error from None
        except BaseException:
            await self._end(self._closed_by or ParleyError("closed", "connecting was cancelled"))
            raise

    @property
    def limits(self) -> Mapping[str, float]:
        """What the gateway announced last."""
        if self._limits is None:
            raise RuntimeError("connect() has not returned yet")
        return self._limits

    @property
    def pending(self) -> int:
        """Messages that are not settled yet."""
        return len(self._outbox)

    async def send(self, message: Message) -> None:
        """Returns when the message is safe on all of Kafka's in-sync replicas.

        Being cancelled ends the waiting, not the sending. Raises ParleyError with the gateway's final nack code, or a code
        of the client's own.
        """
        await asyncio.shield(self.submit(message))

    def submit(self, message: Message) -> asyncio.Future[None]:
        """As ``send``, without waiting: messages go in the order of the calls. An error that nobody looks at is not logged."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._check_room()
            encoded = encode(message, int(self.limits["max_id_chars"]))
            self._check_size(encoded.frame(encoded.attempt))
        except ParleyError as error:
            future.set_exception(error)
            future.exception()
            return future
        future = self._outbox.add(encoded, future)
        self._wake()
        return future

    async def room(self) -> None:
        """Returns when ``submit`` would not be refused with ``buffer_full``, or when the client is closed."""
        while self._is_full and not self._closed_by:
            await self._change()

    @property
    def insights(self) -> AsyncIterator[Insight]:
        """What became of the messages, as it comes, until the client is closed. Each goes to one of several readers."""
        return self._read_insights()

    async def close(self, timeout: float = 10.0) -> None:
        """Waits until everything is settled, at most ``timeout``, then says goodbye. The rest is given up with ``closed``."""
        self._closing = True
        by = monotonic() + timeout
        while len(self._outbox) > 0 and not self._closed_by and monotonic() < by:
            try:
                await asyncio.wait_for(self._change(), by - monotonic())
            except asyncio.TimeoutError:
                break
        await self._end(ParleyError("closed", "the client was closed before the gateway acked"))

    # What the link tells

    def on_opened(self, limits: Mapping[str, float]) -> None:
        if self._limits is not None:
            self.counters.reconnects += 1
        self._limits = limits
        # A pause belonged to the gateway that asked for it.
        self._paused_until = 0.0
        if self._opened and not self._opened.done():
            self._opened.set_result(None)

    def on_lost(self, code: int) -> None:
        largest = self._outbox.largest_sent() if code == TOO_BIG else None
        if largest:
            # 1009 names no message: sending the largest again would end the next connection as well.
            error = ParleyError("frame_too_large", "the other end takes no message as large as this one")
            self._refuse(largest.id, largest.conversation_id, error)
        self.counters.resent += self._outbox.connection_lost()

    def on_failed(self, error: ParleyError) -> None:
        self._fail(error)

    def on_problem(self, problem: ParleyError) -> None:
        self._tell(self._on_problem, problem)

    def on_renewing(self) -> None:
        self.counters.renewals += 1

    def expects_answer(self) -> bool:
        return self._outbox.sent_count > 0

    def next_frame(self) -> str | None:
        if monotonic() < self._paused_until:
            return None
        window = min(self.limits["max_in_flight"], self._max_in_flight or float("inf"))
        while self._outbox.sent_count < window:
            entry = self._outbox.take()
            if not entry:
                return None
            frame = entry.message.frame(entry.attempt)
            try:
                self._check_size(frame)
            except ParleyError as error:
                self._refuse(entry.message.id, entry.message.conversation_id, error)
                continue
            self.counters.sent += 1
            return frame
        return None

    def on_frame(self, frame: frames.Frame) -> None:
        kind = frame["type"]
        if kind == "ack":
            self._on_ack(frame)
        elif kind == "nack":
            self._on_nack(frame)
        elif kind == "insight":
            self._insights.add(frame)
            self._signal()
        elif kind == "error":
            self.counters.errors += 1

    def _on_ack(self, frame: frames.Frame) -> None:
        named, differs = frame.get("conversation_ids"), frame.get("differs")
        conversations = named if isinstance(named, list) and len(named) == len(frame["ids"]) else [None] * len(frame["ids"])
        for id, conversation in zip(frame["ids"], conversations):
            if self._outbox.settle(id, conversation if isinstance(conversation, str) else None, None):
                self.counters.acked += 1
                self.counters.differing += isinstance(differs, list) and id in differs
        self._after_answer()

    def _on_nack(self, frame: frames.Frame) -> None:
        id, code, conversation = frame["id"], frame["code"], frame.get("conversation_id")
        conversation_id = conversation if isinstance(conversation, str) else None
        known = code in frames.FINAL_NACKS or code in frames.TEMPORARY_NACKS
        name = code if known else "other"
        self.counters.nacks[name] = self.counters.nacks.get(name, 0) + 1
        # A code that this version does not know is temporary if it says when to come back.
        if code in frames.TEMPORARY_NACKS or (not known and "retry_after_ms" in frame):
            self.counters.postponed += 1
            # Only `unavailable`, and what is not known, leave open whether Kafka has the message.
            self._outbox.postpone(id, conversation_id, code == "unavailable" or not known)
            self._pause(frames.seconds(frame.get("retry_after_ms"), _MAX_PAUSE_S) or _RETRY_FALLBACK_S)
            self._after_answer()
        else:
            self._refuse(id, conversation_id, ParleyError(code, str(frame.get("message", code))))

    async def _read_insights(self) -> AsyncIterator[Insight]:
        while True:
            while (insight := self._insights.take()) is not None:
                yield insight
            if self._closed_by:
                return
            await self._change()

    @property
    def _is_full(self) -> bool:
        return len(self._outbox) >= self._max_buffered or self._outbox.chars >= _MAX_BUFFERED_CHARS

    def _check_room(self) -> None:
        if self._closed_by:
            raise self._closed_by
        if self._closing:
            raise ParleyError("closed", "the client is being closed")
        if self._is_full:
            raise ParleyError("buffer_full", f"{len(self._outbox)} messages wait already; await room() before sending more")

    def _check_size(self, frame: str) -> None:
        most = frame_limit(self.limits)
        # A character takes at most four bytes, so most frames need no second look.
        if len(frame) * 4 > most and len(frame.encode("utf-8")) > most:
            raise ParleyError("frame_too_large", f"the message has more than the {most} bytes that can be allowed")

    def _refuse(self, id: str, conversation_id: str | None, error: ParleyError) -> None:
        if self._outbox.settle(id, conversation_id, error):
            self.counters.refused += 1
        self._after_answer()

    def _after_answer(self) -> None:
        if self._link:
            self._link.answered()
        self._signal()
        self._wake()

    def _pause(self, for_s: float) -> None:
        """All temporary codes speak of the bot or the gateway as a whole, so the pause holds for every message."""
        self._paused_until = max(self._paused_until, monotonic() + for_s)
        asyncio.get_running_loop().call_later(for_s + 0.001, self._wake)

    def _wake(self) -> None:
        if self._link:
            self._link.wake()

    def _signal(self) -> None:
        """Lets all who wait for a change look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _change(self) -> None:
        await self._changed.wait()

    def _fail(self, error: ParleyError) -> None:
        if self._closed_by:
            return
        self._closed_by = error
        self._outbox.reject_all(error)
        if self._opened and not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()
        self._signal()
        self._tell(self._on_closed, error)

    async def _end(self, error: ParleyError) -> None:
        self._fail(error)
        run, self._run = self._run, None
        if self._link:
            await self._link.say_goodbye()
        if run:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    def _tell(self, listener: Callable[[ParleyError], object] | None, error: ParleyError) -> None:
        """Nothing that the caller's code raises comes back into the client."""
        try:
            if listener:
                listener(error)
        except Exception as raised:
            self.counters.listener_failures += 1
            if listener is not self._on_problem:
                self._tell(self._on_problem, ParleyError("listener_failed", f"a listener raised: {text_of(raised)}"))


def _stream_url(url: str, insights: bool) -> Callable[[Sequence[str]], str]:
    """From the sessions before, the newest first."""
    try:
        parts = urlsplit(url)
        scheme = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}.get(parts.scheme)
        if scheme is None or not parts.hostname or (parts.port or 1) < 1:
            raise ValueError
    except (ValueError, AttributeError, TypeError):
        what = f"url is {url!r}; allowed is ws://HOST[:PORT]/v1/stream, or wss:// with TLS"
        raise ParleyError("invalid_option", what) from None
    given = parse_qsl(parts.query, keep_blank_values=True)

    def url_of(earlier: Sequence[str]) -> str:
        query = given
        if insights:
            asked = {"insights": "true"}
            if earlier:
                asked["resume"] = ",".join(earlier)
            query = [(name, value) for name, value in given if name not in asked] + list(asked.items())
        return urlunsplit((scheme, parts.netloc, parts.path or "/", urlencode(query), ""))

    return url_of


def _provider(token: str | TokenProvider) -> TokenProvider:
    if callable(token):
        return token
    try:
        cleaned = clean(token)
    except ParleyError as error:
        raise ParleyError("invalid_option", str(error)) from None
    return lambda: cleaned
