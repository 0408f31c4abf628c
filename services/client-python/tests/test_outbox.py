from __future__ import annotations

import asyncio
import random

from parley_client.errors import ParleyError
from parley_client.messages import Encoded
from parley_client.outbox import Outbox


async def _play(seed: int) -> None:
    """Whatever happens in whatever order, each message settles once, and goes in the order of the calls."""
    draw = random.Random(seed)
    outbox = Outbox()
    futures: set[asyncio.Future[None]] = set()
    settled = 0
    for _ in range(80):
        id, conversation = str(draw.randrange(6)), str(draw.randrange(3))
        doing = draw.choice(["add", "add", "take", "take", "ack", "refuse", "postpone", "lose"])
        if doing == "add":
            new: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            futures.add(outbox.add(Encoded(id, conversation, 1, "four"), new))
        elif doing == "take":
            outbox.take()
        elif doing == "lose":
            outbox.connection_lost()
            assert outbox.sent_count == 0
        elif doing == "postpone":
            outbox.postpone(id, conversation, True)
        else:
            settled += outbox.settle(id, conversation, None if doing == "ack" else ParleyError("forbidden", "no"))
        assert len(outbox) == len(futures) - settled == sum(not future.done() for future in futures), f"seed {seed}"
        assert outbox.chars == 4 * len(outbox)
    outbox.connection_lost()
    order = []
    while entry := outbox.take():
        order.append(entry.sequence)
    assert order == sorted(order) and len(order) == len(outbox), f"seed {seed}"
    outbox.reject_all(ParleyError("closed", "no"))
    assert all(future.done() for future in futures) and len(outbox) == outbox.chars == 0


def test_every_message_settles_exactly_once_whatever_happens() -> None:
    for seed in range(300):
        asyncio.run(_play(seed))
