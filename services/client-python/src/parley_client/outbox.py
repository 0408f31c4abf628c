from __future__ import annotations

import asyncio
from bisect import insort
from dataclasses import dataclass

from .errors import ParleyError
from .messages import Encoded


@dataclass(eq=False)
class Entry:
    """A message from ``submit()`` until it is acked or given up."""

    message: Encoded
    sequence: int
    """The order of the calls, which the order of sending again follows."""
    attempt: int
    settled: asyncio.Future[None]

    def settle(self, error: ParleyError | None) -> None:
        if self.settled.done():
            return
        if error is None:
            self.settled.set_result(None)
        else:
            self.settled.set_exception(error)


class Outbox:
    """The messages that are not acked yet: ready to go, to go again, or sent. Dictionaries keep their insertion order."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], Entry] = {}
        self._ready: dict[Entry, None] = {}
        self._again: list[Entry] = []
        self._sent: dict[Entry, None] = {}
        self._calls = 0
        self.chars = 0

    def __len__(self) -> int:
        """All that is not settled."""
        return len(self._by_key)

    @property
    def sent_count(self) -> int:
        return len(self._sent)

    def add(self, message: Encoded, settled: asyncio.Future[None]) -> asyncio.Future[None]:
        """The future that settles with the message; the same message once more has the same."""
        key = (message.conversation_id, message.id)
        same = self._by_key.get(key)
        if same:
            return same.settled
        entry = Entry(message, self._calls, message.attempt, settled)
        self._calls += 1
        self._by_key[key] = entry
        self._ready[entry] = None
        self.chars += len(message.head)
        # Who does not look at it is told by nothing that goes to a log.
        settled.add_done_callback(lambda future: future.cancelled() or future.exception())
        return settled

    def take(self) -> Entry | None:
        """The next message to send, now counted as sent; what goes again goes first."""
        if self._again:
            entry = self._again.pop(0)
        elif self._ready:
            entry = next(iter(self._ready))
            del self._ready[entry]
        else:
            return None
        self._sent[entry] = None
        return entry

    def settle(self, id: str, conversation_id: str | None, error: ParleyError | None) -> bool:
        """Whether such a message waited for an answer."""
        entry = self._sent_as(id, conversation_id)
        if not entry:
            return False
        del self._sent[entry]
        del self._by_key[(entry.message.conversation_id, id)]
        self.chars -= len(entry.message.head)
        entry.settle(error)
        return True

    def postpone(self, id: str, conversation_id: str | None, unclear: bool) -> None:
        entry = self._sent_as(id, conversation_id)
        if not entry:
            return
        del self._sent[entry]
        entry.attempt += unclear
        insort(self._again, entry, key=lambda it: it.sequence)

    def connection_lost(self) -> int:
        """What was sent may or may not have arrived: all of it goes again, before anything else. How many."""
        lost = list(self._sent)
        self._sent.clear()
        for entry in lost:
            entry.attempt += 1
        self._again = sorted([*self._again, *lost], key=lambda it: it.sequence)
        return len(lost)

    def largest_sent(self) -> Encoded | None:
        return max((entry.message for entry in self._sent), key=lambda it: len(it.head), default=None)

    def reject_all(self, error: ParleyError) -> None:
        entries = list(self._by_key.values())
        self._by_key.clear()
        self._ready.clear()
        self._sent.clear()
        self._again = []
        self.chars = 0
        for entry in entries:
            entry.settle(error)

    def _sent_as(self, id: str, conversation_id: str | None) -> Entry | None:
        """Where the conversation is not named, the one message of that id; where there are two, none."""
        if conversation_id is not None:
            entry = self._by_key.get((conversation_id, id))
            return entry if entry in self._sent else None
        found = [entry for entry in self._sent if entry.message.id == id]
        return found[0] if len(found) == 1 else None
