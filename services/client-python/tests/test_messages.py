from __future__ import annotations

import json
from typing import Any

import pytest

from parley_client.errors import ParleyError
from parley_client.frames import parse, seconds
from parley_client.messages import encode, frame_limit


def message(**fields: Any) -> dict[str, Any]:
    return {"id": "1", "conversation_id": "c", "speaker": "user", "text": "Hi", **fields}


def test_a_message_is_written_once_with_what_it_lacks() -> None:
    encoded = encode({"conversation_id": 9_007_199_254_740_993, "speaker": "user", "text": "größe 😀", "type": "ping"})
    frame = json.loads(encoded.frame(2))
    assert frame["type"] == "message" and frame["attempt"] == 2
    assert (frame["id"], frame["conversation_id"]) == (encoded.id, "9007199254740993")
    assert len(encoded.id) == 36 and frame["sent_at"] > 1_600_000_000_000
    assert "größe 😀" in encoded.head


def test_half_a_character_in_a_text_goes_as_an_escape() -> None:
    assert "\\ud83d" in encode(message(text="cut \ud83d")).head


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        7,
        {"speaker": "user", "text": "no conversation"},
        message(id=""),
        message(id="x" * 129),
        message(id="\ud83d"),
        message(id="a\0b"),
        message(id=True),
        message(attempt=0),
        message(attempt="2"),
        message(metadata={"score": float("nan")}),
        message(metadata={"when": object()}),
    ],
)
def test_what_cannot_be_a_message_is_refused(wrong: Any) -> None:
    with pytest.raises(ParleyError) as refused:
        encode(wrong)
    assert refused.value.code == "invalid_message"


def test_the_largest_frame_follows_from_the_limits_that_are_announced() -> None:
    assert frame_limit({"max_frame_bytes": 2_000}) == 2_000
    defaults = {"max_text_chars": 8_192, "max_metadata_entries": 32, "max_metadata_key_chars": 64}
    limits = {"max_frame_bytes": 65_536, "max_metadata_value_chars": 1_024, "max_id_chars": 128, **defaults}
    assert frame_limit(limits) == (8_192 + 32 * (64 + 1_024) + 7 * 128) * 6 + 4_096
    assert frame_limit({**limits, "max_text_chars": 1e12}) == 1 << 20


@pytest.mark.parametrize("data", ["", "null", "[]", "{}", '{"type":7}', '{"type":"ack","ids":7}', '{"type":"nack"}', "[" * 99_999])
def test_what_is_no_frame_is_none(data: str) -> None:
    assert parse(data) is None


def test_wrong_limits_become_safe_ones() -> None:
    welcome = parse('{"type":"welcome","limits":{"max_in_flight":-1,"ping_interval_ms":"soon","x":1e999,"y":true}}')
    assert welcome and welcome["limits"] == {
        "max_in_flight": 1,
        "ping_interval_ms": 25_000,
        "max_frame_bytes": 65_536,
        "max_id_chars": 128,
    }
    assert [seconds(it, 60) for it in (1_500, -1, "9", None, True, 1e12)] == [1.5, 0, 0, 0, 0, 60]
