from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from json import JSONDecodeError, loads
from time import monotonic, time
from typing import Any, Mapping, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from .connection_end import End, meaning_of
from .errors import ParleyError, text_of
from .frames import Frame, parse, seconds
from .tokens import TokenProvider, ask

WELCOME_TIMEOUT_S = 10.0
STABLE_S = 10.0
"""A session that lasted this long was a good one: the next failure starts the backoff anew."""
RENEWABLE_AFTER_S = 1.0
RENEW_DRAIN_S = 2.0
"""How long a session whose token is about to expire waits for the answers to what it sent."""
GOODBYE_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 2.0
MAX_AUTH_REFUSALS = 3
MAX_AWAY_S = 300.0
"""The longest that a client stays away because it was told to: a ``Retry-After`` of days is a mistake somewhere."""
MAX_FRAME_BYTES = 1 << 20


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
    url: str
    token: TokenProvider
    renewable: bool
    """Whether ``token`` may give another one next time."""
    backoff_s: tuple[float, float]
    answer_timeout_s: float
    connect_options: Mapping[str, Any]


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """A token goes where the caller said, and nowhere else."""
        return exc


@dataclass
class _Session:
    socket: ClientConnection
    token: str
    opened_at: float | None = None
    refusal: str | None = None
    retry_after_s: float = 0.0
    problem: str | None = None
    leaving_s: float | None = None
    """Set once the session has said goodbye, or is ended for another token: how long to stay away."""
    renewal: bool = False
    answered_at: float = 0.0

    def abort(self, problem: str) -> None:
        self.problem = self.problem or problem
        self.socket.transport.abort()


class Link:
    """Keeps one session with the gateway open: connects, watches for signs of life, comes back after a loss."""

    def __init__(self, options: LinkOptions, events: LinkEvents) -> None:
        self._options = options
        self._events = events
        self._failures = 0
        self._auth_refusals = 0
        self._session: _Session | None = None
        self._next_token: str | None = None
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._helpers: set[asyncio.Task[None]] = set()
        self.last_problem: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent: a session is open and has not said goodbye."""
        session = self._session
        return session is not None and session.opened_at is not None and session.leaving_s is None

    def wake(self) -> None:
        """There may be something to send."""
        self._work.set()

    def answered(self) -> None:
        if self._session:
            self._session.answered_at = monotonic()
        if not self._events.expects_answer():
            self._idle.set()

    async def say_goodbye(self) -> None:
        session = self._session
        if session and session.opened_at is not None:
            await session.socket.close(1000, "done")

    async def run(self) -> None:
        """Until it is cancelled, or no further session may be tried."""
        while True:
            try:
                token = self._next_token or await ask(self._options.token)
            except ParleyError as problem:
                self._tell(problem)
                await asyncio.sleep(self._backoff())
                continue
            self._next_token = None
            end, session = await self._connect_and_serve(token)
            error = self._final_error_of(end)
            if session is None or session.leaving_s is None:
                self._tell(ParleyError("connection_lost", str(end)))
            if end.was_open:
                self._events.on_lost(end.code)
            if error:
                self._events.on_failed(error)
                return
            await asyncio.sleep(self._away_after(end, session))

    async def _connect_and_serve(self, token: str) -> tuple[End, _Session | None]:
        """Raises nothing: whatever the network, or the library below, thinks of is the end of this one connection."""
        try:
            socket = await _Connect(
                self._options.url,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol("parley.v1")],
                compression=None,
                max_size=MAX_FRAME_BYTES,
                open_timeout=WELCOME_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                # A ping of our own, at the interval that the gateway announces: see _watch.
                ping_interval=None,
                **self._options.connect_options,
            )
        except InvalidStatus as error:
            return _refusal_of(error), None
        except Exception as error:
            return End(problem=text_of(error)), None
        session = _Session(socket, token)
        self._session = session
        try:
            await self._serve(session)
        except Exception as error:
            session.abort(text_of(error))
        finally:
            self._session = None
            for helper in self._helpers:
                helper.cancel()
            self._helpers.clear()
            socket.transport.abort()
        lasted_s = 0.0 if session.opened_at is None else monotonic() - session.opened_at
        end = End(
            code=socket.close_code or End.code,
            reason=socket.close_reason or "",
            problem=session.problem,
            refusal=session.refusal,
            retry_after_s=session.retry_after_s,
            lasted_s=lasted_s,
            was_open=session.opened_at is not None,
        )
        return end, session

    async def _serve(self, session: _Session) -> None:
        """Reads until the connection ends."""
        welcome_by = monotonic() + WELCOME_TIMEOUT_S
        try:
            while True:
                if session.opened_at is None:
                    data = await asyncio.wait_for(session.socket.recv(), welcome_by - monotonic())
                else:
                    data = await session.socket.recv()
                frame = parse(data)
                if frame is None:
                    session.abort("the other end sent what is no frame of Parley")
                    return
                self._on_frame(session, frame)
        except asyncio.TimeoutError:
            session.abort(f"no welcome within {WELCOME_TIMEOUT_S:g} s")
        except ConnectionClosed:
            return

    def _on_frame(self, session: _Session, frame: Frame) -> None:
        kind = frame["type"]
        if session.opened_at is None:
            if kind == "welcome":
                self._on_welcome(session, frame["limits"])
            elif kind == "error":
                session.refusal = str(frame.get("code"))
                session.retry_after_s = seconds(frame.get("retry_after_ms"), MAX_AWAY_S)
            return
        if kind == "goaway" and session.leaving_s is None:
            session.leaving_s = seconds(frame.get("reconnect_after_ms"), MAX_AWAY_S)
            self._help(self._end_after_goodbye(session))
        elif kind == "token_expiring" and self._options.renewable:
            self._help(self._renew(session, seconds(frame.get("expires_in_ms"), float("inf"))))
        self._events.on_frame(frame)

    def _on_welcome(self, session: _Session, limits: Mapping[str, float]) -> None:
        session.opened_at = session.answered_at = monotonic()
        self._auth_refusals = 0
        self._events.on_opened(limits)
        self._help(self._send_all(session))
        self._help(self._watch(session, limits["ping_interval_ms"] / 1_000))
        self.wake()

    def _help(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)

    async def _send_all(self, session: _Session) -> None:
        try:
            while True:
                self._work.clear()
                while self.is_open and (frame := self._events.next_frame()) is not None:
                    await session.socket.send(frame)
                await self._work.wait()
        except ConnectionClosed:
            return
        except Exception as error:
            session.abort(text_of(error))

    async def _watch(self, session: _Session, interval_s: float) -> None:
        """A half-open connection never reports its end; and one that lives but answers nothing is as good as dead."""
        try:
            while True:
                await asyncio.sleep(interval_s)
                if not self._events.expects_answer():
                    session.answered_at = monotonic()
                if monotonic() - session.answered_at > self._options.answer_timeout_s:
                    return session.abort(f"no answer to any message for {self._options.answer_timeout_s:g} s")
                await asyncio.wait_for(await session.socket.ping(), interval_s)
        except asyncio.TimeoutError:
            session.abort(f"no pong within {interval_s:g} s")
        except ConnectionClosed:
            return

    async def _end_after_goodbye(self, session: _Session) -> None:
        await asyncio.sleep(GOODBYE_TIMEOUT_S)
        session.abort(f"a goodbye, and no end within {GOODBYE_TIMEOUT_S:g} s")

    async def _renew(self, session: _Session, expires_in_s: float) -> None:
        """Some time before (drawn at random, since thousands of tokens may end at once) the session is handed over."""
        await asyncio.sleep(min(random.random() * expires_in_s / 2, 86_400))
        try:
            token = await ask(self._options.token)
        except ParleyError as problem:
            # The session lives on to the token's end; then another is asked for again.
            return self._tell(problem)
        if token == session.token or session.leaving_s is not None or session.opened_at is None:
            return
        self._next_token = token
        # Nothing new is sent from here on. A gateway that warns at once, again and again, is not answered in a loop.
        young = monotonic() - session.opened_at < RENEWABLE_AFTER_S
        session.leaving_s, session.renewal = (self._backoff() if young else 0.0), True
        self._events.on_renewing()
        self._idle.clear()
        if self._events.expects_answer():
            try:
                await asyncio.wait_for(self._idle.wait(), RENEW_DRAIN_S)
            except asyncio.TimeoutError:
                pass
        await session.socket.close(1000, "token renewal")

    def _final_error_of(self, end: End) -> ParleyError | None:
        kind, error = meaning_of(end)
        if kind == "again":
            return None
        if kind == "final" or not self._options.renewable:
            return error
        self._auth_refusals += 1
        return None if self._auth_refusals < MAX_AUTH_REFUSALS else error

    def _away_after(self, end: End, session: _Session | None) -> float:
        """What the gateway asks for, but never in a loop: a session that did not last is met with backoff."""
        if end.lasted_s >= STABLE_S:
            self._failures = 0
        leaving_s = session.leaving_s if session else None
        if session and session.renewal and leaving_s is not None:
            return leaving_s
        asked = max(min(end.retry_after_s, MAX_AWAY_S), leaving_s or 0.0)
        return asked if leaving_s is not None and end.lasted_s >= STABLE_S else max(asked, self._backoff())

    def _backoff(self) -> float:
        """Full jitter: uniform between 0 and a ceiling that doubles. After an outage thousands come back spread out."""
        least, most = self._options.backoff_s
        ceiling: float = min(most, least * 2 ** min(self._failures, 30))
        self._failures += 1
        return random.random() * ceiling

    def _tell(self, problem: ParleyError) -> None:
        self.last_problem = str(problem)
        self._events.on_problem(problem)


def _refusal_of(error: InvalidStatus) -> End:
    response = error.response
    try:
        answer = loads(response.body or b"")
        code = answer.get("code") if isinstance(answer, dict) else None
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        code = None
    end = End(status=response.status_code, refusal=code if isinstance(code, str) else None)
    return replace(end, retry_after_s=retry_after_of(response.headers.get("Retry-After")))


def retry_after_of(value: str | None) -> float:
    """RFC 9110, 10.2.3: seconds, or a date. In seconds, 0 where there is none."""
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(min(int(value[:12]), MAX_AWAY_S))
    try:
        return min(max(parsedate_to_datetime(value).timestamp() - time(), 0.0), MAX_AWAY_S)
    except (ValueError, OverflowError):
        return 0.0
