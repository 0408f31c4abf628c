from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Literal

from .errors import ParleyError
from .frames import FINAL_REFUSALS, TOKEN_REFUSALS

ABNORMAL = 1006
TOKEN_EXPIRED = 4001
TOO_BIG = 1009
MAX_AWAY_S = 300.0
"""The longest that a client stays away because it was told to: a ``Retry-After`` of days is a mistake somewhere."""


@dataclass(frozen=True)
class End:
    """How a connection ended, or why there was none."""

    code: int = ABNORMAL
    reason: str = ""
    problem: str | None = None
    status: int | None = None
    """Of a handshake that was answered by HTTP."""
    refusal: str | None = None
    """The code in that answer, or in the ``error`` frame that came in the place of ``welcome``."""
    retry_after_s: float = 0.0
    lasted_s: float = 0.0
    """How long the session was open; 0 where there was none."""
    was_open: bool = False
    session: str = ""
    """Where it was open."""
    no_token: ParleyError | None = None
    """There was no token to begin with."""

    def __str__(self) -> str:
        if self.status is not None:
            return f"the handshake was answered with {self.status} {self.refusal or 'and no code'}"
        if self.refusal is not None:
            return f"the gateway refused the session: {self.refusal}"
        return self.problem or f"the connection ended with code {self.code} {self.reason}".rstrip()


Kind = Literal["again", "another_token", "final"]


def meaning_of(end: End) -> tuple[Kind, ParleyError]:
    """Only what the gateway itself says can be final, known by its codes: a proxy's 404 says nothing about this bot."""
    if end.no_token:
        return "again", end.no_token
    refused = ParleyError("handshake_refused", str(end), end.refusal)
    if end.refusal in TOKEN_REFUSALS:
        return "another_token", refused
    if end.refusal in FINAL_REFUSALS:
        return "final", refused
    if end.status is not None or end.refusal is not None and not 4000 <= end.code <= 4099:
        return "again", refused
    if end.code == TOKEN_EXPIRED:
        return "another_token", ParleyError("token_expired", "the token has expired; give a function to outlive it")
    closed = ParleyError("connection_refused", f"the gateway closed with {end.code}", str(end.code))
    return ("final" if 4000 <= end.code <= 4099 else "again"), closed


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
