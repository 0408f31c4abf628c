from __future__ import annotations

from typing import Literal, Mapping, TypedDict

Speaker = Literal["user", "bot", "agent", "system"]


class _Required(TypedDict):
    conversation_id: str
    speaker: Speaker
    text: str


class Message(_Required, total=False):
    """A message as the caller gives it."""

    id: str
    """Unique within the conversation; made up where it is missing. The same id again is the same message."""
    sent_at: int
    """Milliseconds since the epoch; the present time where it is missing."""
    user_id: str
    channel: str
    bot_version: str
    metadata: Mapping[str, str | int | float | bool | None]
    attempt: int
    """1 unless given. Who sends a saved queue again gives 2 or more: the message is then looked up, and counts once."""


class Sentiment(TypedDict):
    label: Literal["positive", "neutral", "negative"]
    score: float


class Intent(TypedDict):
    name: str
    confidence: float


class Language(TypedDict):
    code: str
    confidence: float


class Toxicity(TypedDict):
    score: float


class _InsightKey(TypedDict):
    id: str
    conversation_id: str
    outcome: Literal["enriched", "degraded", "dead_lettered"]
    provisional: bool
    """An early answer of a simpler model, within the latency budget; the final one follows."""
    revision: int
    """0, and one more each time the message is analysed again."""


class Insight(_InsightKey, total=False):
    """What became of a message. The analysis is there where the outcome is ``enriched`` or ``degraded``."""

    reason: str
    sentiment: Sentiment
    intent: Intent
    language: Language
    toxicity: Toxicity
    topics: list[str]
    model: str
