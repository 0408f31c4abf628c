from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Mapping, cast

from .counters import Counters
from .types import Insight

_MAX_REMEMBERED = 4_096
"""More insights than come in the seconds for which a gateway looks back after a reconnect."""


class InsightFeed:
    """Insights that wait for a reader, each once. Bounded: who reads too slowly loses the oldest, counted."""

    def __init__(self, max_buffered: int, counters: Counters) -> None:
        self._max_buffered = max_buffered
        self._counters = counters
        self._waiting: deque[Insight] = deque()
        self._seen: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def add(self, frame: Mapping[str, Any]) -> None:
        """After a reconnect the gateway may repeat those of the last seconds."""
        names = ("conversation_id", "id", "revision", "provisional", "outcome")
        key = tuple(str(frame.get(name)) for name in names)
        if key in self._seen:
            self._counters.insights_repeated += 1
            return
        self._seen[key] = None
        if len(self._seen) > _MAX_REMEMBERED:
            self._seen.popitem(last=False)
        self._counters.insights += 1
        self._waiting.append(cast(Insight, {name: value for name, value in frame.items() if name != "type"}))
        if len(self._waiting) > self._max_buffered:
            self._waiting.popleft()
            self._counters.insights_dropped += 1

    def take(self) -> Insight | None:
        return self._waiting.popleft() if self._waiting else None
