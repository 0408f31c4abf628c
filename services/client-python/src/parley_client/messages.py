from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any, Mapping

from .errors import ParleyError, text_of

DEFAULT_ID_CHARS = 128
_MAX_ATTEMPT = 0x7FFF_FFFF
_CHAR_BYTES = 6
"""A character as JSON has it at most: as an escape, or as four bytes of UTF-8."""
_OVERHEAD_BYTES = 4_096
_HARD_FRAME_BYTES = 1 << 20


@dataclass(frozen=True)
class Encoded:
    """A message as it waits: its frame but for ``attempt``, which rises with each unclear send."""

    id: str
    conversation_id: str
    attempt: int
    head: str

    def frame(self, attempt: int) -> str:
        return f'{self.head},"attempt":{attempt}}}'


def encode(message: Mapping[str, Any], max_id_chars: int = DEFAULT_ID_CHARS) -> Encoded:
    """Written once, when the caller hands it over: what cannot be written is refused there and then.

    Raises ParleyError ``invalid_message``.
    """
    try:
        fields = dict(message)
        fields.pop("type", None)
        attempt = _attempt(fields.pop("attempt", None))
        given = fields.pop("id", None)
        names = {
            "id": _name("id", str(uuid.uuid4()) if given is None else given, max_id_chars),
            "conversation_id": _name("conversation_id", fields.pop("conversation_id", None), max_id_chars),
        }
        if fields.get("sent_at") is None:
            fields["sent_at"] = int(time.time() * 1_000)
        text = to_json({"type": "message", **names, **fields})
    except ParleyError:
        raise
    except Exception as error:
        raise ParleyError("invalid_message", f"the message cannot be sent: {text_of(error)}") from error
    return Encoded(names["id"], names["conversation_id"], attempt, text[:-1])


def to_json(value: object) -> str:
    """Half a character, which UTF-8 cannot hold, goes as an escape, as the gateway takes it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def frame_limit(limits: Mapping[str, float]) -> int:
    """The largest frame that can keep every announced limit, in bytes: 261 KiB with the defaults.

    ``max_frame_bytes`` is what costs one message, no bound.
    """
    announced = int(limits["max_frame_bytes"])
    text = limits.get("max_text_chars", 0)
    if text < 1:
        return announced
    metadata = limits.get("max_metadata_key_chars", 0) + limits.get("max_metadata_value_chars", 0)
    chars = text + limits.get("max_metadata_entries", 0) * metadata + 7 * limits.get("max_id_chars", 0)
    return max(announced, min(_HARD_FRAME_BYTES, int(chars * _CHAR_BYTES + _OVERHEAD_BYTES)))


def _invalid(why: str) -> ParleyError:
    return ParleyError("invalid_message", f"the message cannot be sent: {why}")


def _name(field: str, value: object, max_chars: int) -> str:
    """An id that the gateway cannot use is answered by an ``error`` that names none: the message would wait for ever."""
    name = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str):
        raise _invalid(f"{field} is {type(value).__name__}, not a string")
    if not 1 <= len(name) <= max_chars:
        raise _invalid(f"{field} has {len(name)} characters; allowed are 1 to {max_chars}")
    if "\0" in name or any("\ud800" <= char <= "\udfff" for char in name):
        raise _invalid(f"{field} holds half a character, or U+0000")
    return name


def _attempt(value: object) -> int:
    if value is None:
        return 1
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_ATTEMPT:
        return value
    raise _invalid("attempt is no integer from 1")
