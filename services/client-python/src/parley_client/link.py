from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from time import monotonic
from typing import Any, Callable, Coroutine, Mapping, Protocol, Sequence

from websockets.exceptions import ConnectionClosed

from .connection_end import MAX_AWAY_S, End, meaning_of
from .errors import ParleyError, text_of
from .frames import Frame, seconds
from .session import Session, open_session
from .tokens import TokenProvider, ask

STABLE_S = 10.0
"""A session that lasted this long was a good one: the next failure starts the backoff anew."""
RENEWABLE_AFTER_S = 1.0
"""Below this a renewal is met with backoff: a gateway that warns at once, again and again, is not answered in a loop."""
HANDOVER_S = 2.0
"""How long the next session waits for the answers to what the present one sent."""
MAX_AUTH_REFUSALS = 3
MAX_EARLIER_SESSIONS = 8
"""The gateway looks at no more."""
NORMAL = 1000


class LinkEvents(Protocol):
    """None of these may raise."""

    def on_opened(self, limits: Mapping[str, float]) -> None: ...
    def on_frame(self, frame: Frame) -> None: ...
    def on_lost(self, code: int) -> None: ...
    def on_failed(self, error: ParleyError) -> None: ...
    def on_problem(self, problem: ParleyError) -> None: ...
    def on_renewing(self) -> None: ...
    def next_frame(self) -> str | None: ...
    def expects_answer(self) -> bool: ...


@dataclass(frozen=True)
class LinkOptions:
    url_of: Callable[[Sequence[str]], str]
    """From the sessions before, the newest first."""
    token: TokenProvider
    renewable: bool
    """Whether ``token`` may give another one next time."""
    backoff_s: tuple[float, float]
    answer_timeout_s: float
    connect_options: Mapping[str, Any]


class Link:
    """Keeps one session with the gateway open: connects, watches for signs of life, comes back after a loss.

    Where the gateway says goodbye, or the token is about to expire, the next session is opened beside the present one and
    takes over once it is there and all that was sent is answered: messages never travel over both.
    """

    def __init__(self, options: LinkOptions, events: LinkEvents) -> None:
        self._options = options
        self._events = events
        self._failures = 0
        self._auth_refusals = 0
        self._session: Session | None = None
        self._successor: Session | None = None
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sessions: set[Session] = set()
        self._names: list[str] = []
        """The sessions so far, the newest first: the next one takes over their insights."""
        self.last_problem: str | None = None

    def wake(self) -> None:
        """There may be something to send."""
        self._work.set()

    def answered(self) -> None:
        if self._session:
            self._session.answered_at = monotonic()
        if not self._events.expects_answer():
            self._idle.set()

    async def say_goodbye(self) -> None:
        if self._session:
            await self._session.close("done")

    async def run(self) -> None:
        """Until it is cancelled, or no further session may be tried."""
        try:
            await self._run()
        except Exception as error:
            self._events.on_failed(ParleyError("closed", f"a fault of this library: {text_of(error)}"))
        finally:
            for task in self._tasks:
                task.cancel()
            for session in self._sessions:
                session.abort("closed by the caller")

    async def _run(self) -> None:
        handover: asyncio.Task[Session | End] | None = None
        while True:
            came = await (handover or self._open())
            handover = None
            if isinstance(came, Session):
                end = await self._serve(came)
                handover = came.handover
                if came.left.is_set():
                    self._events.on_lost(NORMAL)
                    self._start(came.close("handed over"))
                    continue
            else:
                end = came
            error = self._final_error_of(end)
            if handover is None or error:
                self._tell(end.no_token or ParleyError("connection_lost", str(end)))
            if end.was_open:
                self._events.on_lost(end.code)
            if error:
                return self._events.on_failed(error)
            if handover is None:
                await asyncio.sleep(self._not_before(end))

    async def _open(self, token: str | None = None) -> Session | End:
        options = self._options
        url = options.url_of(self._names)
        came = await open_session(url, options.token, token, options.connect_options, self._on_frame)
        name = came.name if isinstance(came, Session) else came.session
        if name:
            self._names = [name, *(it for it in self._names if it != name)][:MAX_EARLIER_SESSIONS]
        if isinstance(came, Session):
            self._sessions.add(came)
            came.reader.add_done_callback(lambda _: self._sessions.discard(came))
        return came

    async def _serve(self, session: Session) -> End:
        """Until its connection ends, or another takes over."""
        limits = session.limits or {}
        self._session, self._successor = session, None
        self._auth_refusals = 0
        self._events.on_opened(limits)
        session.use()
        helpers = [
            self._start(self._send_all(session)),
            self._start(
                session.watch(limits["ping_interval_ms"] / 1_000, self._options.answer_timeout_s, self._events.expects_answer)
            ),
        ]
        left = self._start(session.left.wait())
        self.wake()
        try:
            await asyncio.wait({session.reader, left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._session = None
            for helper in (*helpers, left):
                helper.cancel()
        if monotonic() - session.opened_at >= STABLE_S:
            self._failures = 0
        return session.end()

    async def _send_all(self, session: Session) -> None:
        try:
            while True:
                self._work.clear()
                while self._may_send(session) and (frame := self._events.next_frame()) is not None:
                    await session.send(frame)
                await self._work.wait()
        except ConnectionClosed:
            return
        except Exception as error:
            session.abort(text_of(error))

    def _may_send(self, session: Session) -> bool:
        """It takes messages, and none is about to take over."""
        is_taking = not session.is_refusing and not session.is_gone
        return session is self._session and is_taking and self._successor is None

    def _on_frame(self, session: Session, frame: Frame) -> None:
        kind = frame["type"]
        if session is self._successor:
            # One that has to go itself is no successor: another is tried for.
            if kind == "goaway":
                return session.abort("a goodbye before it took over")
        elif session is not self._session:
            # On its way when the session was left; no other one gets it.
            if kind == "insight":
                self._events.on_frame(frame)
            return
        elif session.handover is None and (kind == "goaway" or session.is_refusing):
            # Nothing could be sent any more where the goodbye was lost on the way, or was never said.
            asked = seconds(frame.get("reconnect_after_ms"), MAX_AWAY_S)
            young = monotonic() - session.opened_at < STABLE_S
            self._hand_over(session, max(asked, self._backoff()) if young else asked)
        elif kind == "token_expiring" and self._options.renewable:
            self._start(self._renew(session, seconds(frame.get("expires_in_ms"), 86_400)))
        self._events.on_frame(frame)

    def _hand_over(self, session: Session, after_s: float, token: str | None = None) -> None:
        if session.handover is None and session is self._session:
            session.handover = self._start(self._succeed(session, after_s, token))

    async def _succeed(self, session: Session, after_s: float, token: str | None) -> Session | End:
        """The session that takes over; where the present one ends before, whatever came of the last try."""
        while True:
            await asyncio.sleep(after_s)
            came = await self._open(token)
            token = None
            if isinstance(came, Session):
                self._successor = came
                came.use()
                await self._answers_or_ends(session, came)
                if not came.reader.done():
                    session.left.set()
                    return came
                self._successor = None
                came = came.end()
            if session.reader.done():
                return came
            self._tell(came.no_token or ParleyError("connection_lost", str(came)))
            # The present one may go on meanwhile.
            self.wake()
            after_s = self._not_before(came)

    async def _answers_or_ends(self, session: Session, successor: Session) -> None:
        self._idle.clear()
        if not self._events.expects_answer():
            return
        idle = self._start(self._idle.wait())
        ends = {idle, session.reader, successor.reader}
        await asyncio.wait(ends, timeout=HANDOVER_S, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()

    async def _renew(self, session: Session, expires_in_s: float) -> None:
        """Some time before (drawn at random, since thousands of tokens may end at once) a session with another takes over."""
        await asyncio.sleep(random.random() * expires_in_s / 2)
        try:
            token = await ask(self._options.token)
        except ParleyError as problem:
            # The session lives on to the token's end; then another is asked for again.
            return self._tell(problem)
        if token == session.token or session.handover is not None or session is not self._session:
            return
        self._events.on_renewing()
        young = monotonic() - session.opened_at < RENEWABLE_AFTER_S
        self._hand_over(session, self._backoff() if young else 0.0, token)

    def _final_error_of(self, end: End) -> ParleyError | None:
        kind, error = meaning_of(end)
        if kind == "again":
            return None
        if kind == "final" or not self._options.renewable:
            return error
        self._auth_refusals += 1
        return None if self._auth_refusals < MAX_AUTH_REFUSALS else error

    def _not_before(self, end: End) -> float:
        """What the gateway asks for, and the backoff at least."""
        return max(min(end.retry_after_s, MAX_AWAY_S), self._backoff())

    def _backoff(self) -> float:
        """Full jitter: uniform between 0 and a ceiling that doubles. After an outage thousands come back spread out."""
        least, most = self._options.backoff_s
        ceiling: float = min(most, least * 2 ** min(self._failures, 30))
        self._failures += 1
        return random.random() * ceiling

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _tell(self, problem: ParleyError) -> None:
        self.last_problem = str(problem)
        self._events.on_problem(problem)
