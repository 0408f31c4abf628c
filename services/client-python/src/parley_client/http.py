from __future__ import annotations

import json
import random
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Callable, Iterable, Mapping
from urllib.parse import urlsplit

from .connection_end import retry_after_of
from .errors import ParleyError
from .frames import FINAL_REFUSALS, TEMPORARY_NACKS, TOKEN_REFUSALS, seconds
from .messages import Encoded, encode
from .tokens import clean
from .types import Message

MAX_MESSAGES = 500
MAX_BYTES = 1 << 20
_REQUEST_TIMEOUT_S = 30.0
_BACKOFF_S = (0.5, 20.0)
_MAX_AUTH_REFUSALS = 3
_FINAL = FINAL_REFUSALS | {"malformed", "method_not_allowed", "too_large", "unsupported_encoding"}


@dataclass
class _Waiting:
    index: int
    message: Encoded
    attempt: int

    @property
    def body(self) -> str:
        return self.message.frame(self.attempt)


class HttpClient:
    """Messages in batches over ``POST /v1/messages``, for who cannot hold a socket. For one thread."""

    def __init__(
        self,
        url: str,
        *,
        token: str | Callable[[], str],
        context: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``url`` is ``http://HOST[:PORT]``, or ``https://`` with TLS. Raises ParleyError ``invalid_option``."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ParleyError("invalid_option", f"url is {url!r}; allowed is http://HOST[:PORT], or https:// with TLS")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._context = context
        self._token = token
        self._sleep = sleep
        self._connection: HTTPConnection | None = None

    def send(self, messages: Iterable[Message], timeout: float = 60.0) -> list[ParleyError | None]:
        """What became of each, in order: None where it is safe, else why it is not.

        Messages that are refused for now are sent again in their order until ``timeout``; what is not acked by then has the
        code ``not_acked_in_time``, and may be safe all the same: send it again with the same ``id`` and ``attempt`` raised.
        Raises ParleyError where the gateway refuses the whole request for good, and what the function for tokens raises.
        """
        delivery = _Delivery(self, messages, time.monotonic() + timeout)
        while delivery.is_due:
            delivery.step()
        return delivery.finish(f"not acked within {timeout:g} s")

    def close(self) -> None:
        self.drop_connection()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def post(self, batch: list[_Waiting], token: str, timeout: float) -> tuple[int, float, Any]:
        body = ('{"messages":[' + ",".join(each.body for each in batch) + "]}").encode("utf-8")
        connection = self._connection or self._connect()
        connection.timeout = timeout
        if connection.sock:
            connection.sock.settimeout(timeout)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/messages", body, headers)
        response = connection.getresponse()
        text = response.read(8 << 20)
        if response.will_close:
            self.drop_connection()
        try:
            answer = json.loads(text) if text else None
        except ValueError:
            answer = None
        return response.status, retry_after_of(response.headers.get("Retry-After")), answer

    def _connect(self) -> HTTPConnection:
        if self._secure:
            self._connection = HTTPSConnection(self._host, self._port, context=self._context)
        else:
            self._connection = HTTPConnection(self._host, self._port)
        return self._connection

    def drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    @property
    def renewable(self) -> bool:
        return callable(self._token)

    def fresh_token(self) -> str:
        return clean(self._token() if callable(self._token) else self._token)

    def pause(self, for_s: float) -> None:
        self._sleep(max(0.0, for_s))


class _Delivery:
    """The messages of one call on their way."""

    def __init__(self, client: HttpClient, messages: Iterable[Message], by: float) -> None:
        self._client = client
        self._by = by
        self._token = client.fresh_token()
        self._failures = 0
        self._auth_refusals = 0
        self._results: list[ParleyError | None] = []
        self._waiting: list[_Waiting] = []
        for index, message in enumerate(messages):
            self._results.append(None)
            try:
                encoded = encode(message)
                self._waiting.append(_Waiting(index, encoded, encoded.attempt))
            except ParleyError as error:
                self._results[index] = error

    @property
    def is_due(self) -> bool:
        return bool(self._waiting) and time.monotonic() < self._by

    def finish(self, why: str) -> list[ParleyError | None]:
        for each in self._waiting:
            self._results[each.index] = ParleyError("not_acked_in_time", why)
        return self._results

    def step(self) -> None:
        batch = _first_batch(self._waiting)
        if not batch:
            why = "the message alone is larger than a request may be"
            self._results[self._waiting.pop(0).index] = ParleyError("frame_too_large", why)
            return
        try:
            timeout = max(0.001, min(self._by - time.monotonic(), _REQUEST_TIMEOUT_S))
            status, retry_after, answer = self._client.post(batch, self._token, timeout)
        except (OSError, HTTPException, ValueError):
            # Whether the gateway has them is not known.
            for each in batch:
                each.attempt += 1
            self._client.drop_connection()
            self._back_off()
            return
        outcomes = _outcomes(answer, batch) if status == 200 else None
        if outcomes is None:
            self._on_refusal(status, answer.get("code") if isinstance(answer, dict) else None, retry_after)
        else:
            self._on_outcomes(batch, outcomes)

    def _on_outcomes(self, batch: list[_Waiting], outcomes: list[Mapping[str, Any]]) -> None:
        self._failures = self._auth_refusals = 0
        again: list[_Waiting] = []
        pause_s = 0.0
        for each, outcome in zip(batch, outcomes):
            code = str(outcome.get("code"))
            if outcome["status"] == "acked":
                continue
            if code in TEMPORARY_NACKS or "retry_after_ms" in outcome:
                each.attempt += code == "unavailable"
                pause_s = max(pause_s, seconds(outcome.get("retry_after_ms"), 60.0) or 1.0)
                again.append(each)
            else:
                self._results[each.index] = ParleyError(code, str(outcome.get("message", code)))
        self._waiting = again + self._waiting[len(batch) :]
        if again:
            self._pause(pause_s)

    def _on_refusal(self, status: int, code: object, retry_after: float) -> None:
        """Only what the gateway itself says can be final, known by its codes."""
        why = f"the gateway answered {status} {code or 'and no code'}"
        if code in _FINAL:
            raise ParleyError("handshake_refused" if code in FINAL_REFUSALS else str(code), why, str(code))
        if code in TOKEN_REFUSALS:
            self._auth_refusals += 1
            if not self._client.renewable or self._auth_refusals >= _MAX_AUTH_REFUSALS:
                raise ParleyError("handshake_refused", why, str(code))
            self._token = self._client.fresh_token()
        self._back_off(retry_after)

    def _back_off(self, at_least_s: float = 0.0) -> None:
        """Full jitter, as over the socket."""
        least, most = _BACKOFF_S
        ceiling: float = min(most, least * 2 ** min(self._failures, 30))
        self._failures += 1
        self._pause(max(at_least_s, random.random() * ceiling))

    def _pause(self, for_s: float) -> None:
        self._client.pause(min(for_s, self._by - time.monotonic()))


def _first_batch(waiting: list[_Waiting]) -> list[_Waiting]:
    """As many as one request takes, in their order."""
    size = len('{"messages":[]}')
    for count, each in enumerate(waiting[:MAX_MESSAGES]):
        size += len(each.body.encode("utf-8")) + 1
        if size > MAX_BYTES:
            return waiting[:count]
    return waiting[:MAX_MESSAGES]


def _outcomes(answer: Any, batch: list[_Waiting]) -> list[Mapping[str, Any]] | None:
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != len(batch):
        return None
    return results if all(isinstance(it, dict) and it.get("status") in ("acked", "nacked") for it in results) else None
