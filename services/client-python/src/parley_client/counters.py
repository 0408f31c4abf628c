from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Counters:
    """Running totals of one client."""

    sent: int = 0
    """Frames written, repeats included."""
    acked: int = 0
    refused: int = 0
    """Messages that ended with a final nack, or were too large."""
    postponed: int = 0
    """Temporary nacks."""
    resent: int = 0
    """Messages that were sent again because their connection was lost."""
    reconnects: int = 0
    renewals: int = 0
    differing: int = 0
    """Acks that say that another content was stored first under the id."""
    insights: int = 0
    insights_repeated: int = 0
    insights_dropped: int = 0
    errors: int = 0
    listener_failures: int = 0
    nacks: dict[str, int] = field(default_factory=dict)
    """All nacks by code; those that this version does not know together as ``other``."""
