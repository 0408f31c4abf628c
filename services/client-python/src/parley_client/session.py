from __future__ import annotations

import asyncio
from json import loads
from time import monotonic
from typing import Any, Callable, Mapping

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from .connection_end import End, retry_after_of
from .errors import ParleyError, text_of
from .frames import Frame, parse, seconds
from .tokens import TokenProvider, ask

WELCOME_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
MAX_FRAME_BYTES = 1 << 20
_MAX_RETRY_S = 86_400.0


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """A token goes where the caller said, and nowhere else."""
        return exc


class Session:
    """One connection after its handshake, read until it ends."""

    def __init__(self, socket: ClientConnection, token: str, on_frame: Callable[[Session, Frame], None]) -> None:
        self.token = token
        self.name = ""
        """What the gateway calls it."""
        self.limits: Mapping[str, float] | None = None
        """Announced by its ``welcome``."""
        self.opened_at = self.answered_at = monotonic()
        self.is_refusing = False
        """The gateway takes no messages over it any more."""
        self.left = asyncio.Event()
        """Another has taken over."""
        self.handover: asyncio.Task[Session | End] | None = None
        self._socket = socket
        self._on_frame = on_frame
        self._welcomed = asyncio.Event()
        self._early: list[Frame] | None = []
        """What came after the ``welcome`` and before this session was taken into use."""
        self._told: Frame | None = None
        self._problem: str | None = None
        self.reader = asyncio.create_task(self._read())

    @staticmethod
    async def open(
        url: str, token: str, connect_options: Mapping[str, Any], on_frame: Callable[[Session, Frame], None]
    ) -> Session | End:
        """With its ``welcome``, or why there is none: whatever the network, or the library below, thinks of is an end."""
        try:
            socket = await _Connect(
                url,
                additional_headers={"Authorization": f"Bearer {token}"},
                subprotocols=[Subprotocol("parley.v1")],
                compression=None,
                max_size=MAX_FRAME_BYTES,
                open_timeout=WELCOME_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                # A ping of our own, at the interval that the gateway announces: see watch.
                ping_interval=None,
                **connect_options,
            )
        except InvalidStatus as error:
            return _refusal_of(error)
        except Exception as error:
            return End(problem=text_of(error))
        session = Session(socket, token, on_frame)
        try:
            await session._until_welcome()
        except BaseException:
            session.abort("given up")
            raise
        if session.limits is not None and not session.reader.done():
            return session
        await session.reader
        return session.end()

    def use(self) -> None:
        """From here on frames are handed on, those first that have come already."""
        early, self._early = self._early or [], None
        for frame in early:
            self._on_frame(self, frame)

    def end(self) -> End:
        """To be asked once the reader is done."""
        told = self._told or {}
        was_open = self.limits is not None
        return End(
            code=self._socket.close_code or End.code,
            reason=self._socket.close_reason or "",
            problem=self._problem,
            refusal=None if self._told is None else str(told.get("code")),
            retry_after_s=seconds(told.get("retry_after_ms"), _MAX_RETRY_S),
            lasted_s=monotonic() - self.opened_at if was_open else 0.0,
            was_open=was_open,
            session=self.name,
        )

    def abort(self, problem: str) -> None:
        """Ends it without a goodbye."""
        self._problem = self._problem or problem
        self._socket.transport.abort()

    @property
    def is_gone(self) -> bool:
        """The connection below has ended, which the reader will see in a moment; what is written meanwhile is lost."""
        return self._socket.transport.is_closing()

    async def send(self, frame: str) -> None:
        await self._socket.send(frame)

    async def close(self, reason: str) -> None:
        await self._socket.close(1000, reason)

    async def watch(self, interval_s: float, answer_timeout_s: float, expects_answer: Callable[[], bool]) -> None:
        """A half-open connection never reports its end; and one that lives but answers nothing is as good as dead."""
        try:
            while True:
                await asyncio.sleep(interval_s)
                if not expects_answer():
                    self.answered_at = monotonic()
                if monotonic() - self.answered_at > answer_timeout_s:
                    return self.abort(f"no answer to any message for {answer_timeout_s:g} s")
                await asyncio.wait_for(await self._socket.ping(), interval_s)
        except asyncio.TimeoutError:
            self.abort(f"no pong within {interval_s:g} s")
        except ConnectionClosed:
            return

    async def _until_welcome(self) -> None:
        welcomed = asyncio.create_task(self._welcomed.wait())
        try:
            both = {welcomed, self.reader}
            done, _ = await asyncio.wait(both, timeout=WELCOME_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self.abort(f"no welcome within {WELCOME_TIMEOUT_S:g} s")
        finally:
            welcomed.cancel()

    async def _read(self) -> None:
        """Never raises: how it ended is told by ``end``."""
        try:
            while True:
                frame = parse(await self._socket.recv())
                if frame is None:
                    return self.abort("the other end sent what is no frame of Parley")
                self._take(frame)
        except ConnectionClosed:
            return
        except Exception as error:
            self.abort(text_of(error))

    def _take(self, frame: Frame) -> None:
        if self.limits is not None:
            if frame["type"] == "nack" and frame["code"] == "shutting_down":
                self.is_refusing = True
            if self._early is None:
                self._on_frame(self, frame)
            else:
                self._early.append(frame)
        elif frame["type"] == "welcome":
            self.name = frame["session"]
            self.limits = frame["limits"]
            self.opened_at = self.answered_at = monotonic()
            self._welcomed.set()
        elif frame["type"] == "error":
            self._told = frame


async def open_session(
    url: str,
    provider: TokenProvider,
    token: str | None,
    connect_options: Mapping[str, Any],
    on_frame: Callable[[Session, Frame], None],
) -> Session | End:
    """As ``Session.open``; the token is asked for where it is not known."""
    try:
        token = token or await ask(provider)
    except ParleyError as error:
        return End(no_token=error)
    return await Session.open(url, token, connect_options, on_frame)


def _refusal_of(error: InvalidStatus) -> End:
    response = error.response
    try:
        answer = loads(response.body or b"")
        code = answer.get("code") if isinstance(answer, dict) else None
    except (ValueError, RecursionError):
        code = None
    return End(
        status=response.status_code,
        refusal=code if isinstance(code, str) else None,
        retry_after_s=retry_after_of(response.headers.get("Retry-After")),
    )
