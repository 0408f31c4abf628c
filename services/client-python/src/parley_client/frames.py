"""What the gateway says is held against what the protocol allows before anything is done with it."""

from __future__ import annotations

import json
import math
from typing import Any

Frame = dict[str, Any]

MAX_PING_S = 600.0
_MIN_PING_S = 0.02
_DEFAULT_PING_S = 25.0
_MAX_IN_FLIGHT = 65_536

FINAL_NACKS = frozenset({"malformed", "unknown_type", "invalid_field", "text_too_long", "forbidden"})
TEMPORARY_NACKS = frozenset({"rate_limited", "too_many_in_flight", "overloaded", "unavailable", "shutting_down"})

FINAL_REFUSALS = frozenset(
    {"not_found", "upgrade_required", "unsupported_subprotocol", "access_denied", "role_missing", "origin_forbidden"}
)
TOKEN_REFUSALS = frozenset({"token_missing", "token_invalid", "token_expired", "token_revoked"})


def parse(data: str | bytes) -> Frame | None:
    """None for what is no frame of Parley's; one of a type that is not known stays as it is."""
    try:
        frame = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        return None
    kind = frame["type"]
    if kind == "welcome":
        return _welcome(frame)
    if kind == "ack":
        return frame if _texts(frame.get("ids")) else None
    if kind == "nack":
        return frame if isinstance(frame.get("id"), str) and isinstance(frame.get("code"), str) else None
    if kind == "insight":
        named = isinstance(frame.get("id"), str) and isinstance(frame.get("conversation_id"), str)
        return frame if named else None
    return frame


def seconds(value: object, at_most: float) -> float:
    """Milliseconds of a frame as seconds: 0 for what is no number or is negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        return 0.0
    return float(min(value / 1_000, at_most))


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _welcome(frame: Frame) -> Frame | None:
    announced = frame.get("limits")
    if not isinstance(announced, dict):
        return None
    limits = {
        name: value
        for name, value in announced.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
    ping = seconds(limits.get("ping_interval_ms"), MAX_PING_S)
    limits["ping_interval_ms"] = 1_000 * (max(ping, _MIN_PING_S) if ping else _DEFAULT_PING_S)
    limits["max_in_flight"] = min(_count(limits.get("max_in_flight"), 1), _MAX_IN_FLIGHT)
    limits["max_frame_bytes"] = _count(limits.get("max_frame_bytes"), 65_536)
    limits["max_id_chars"] = _count(limits.get("max_id_chars"), 128)
    name = frame.get("session")
    return {**frame, "session": name if isinstance(name, str) else "", "limits": limits}


def _count(value: object, fallback: int) -> int:
    return int(value) if isinstance(value, (int, float)) and value >= 1 else fallback
