"""The Python side of ``npm run load -- client-chaos``: bots that send on while their gateway does its worst, and must not notice.

Arguments, the line that ends the sending, and the report are those of ``load/client-chaos/host.ts``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
import sys
from typing import Any

from parley_client import ParleyClient, ParleyError

SETTLE_S = 60.0
SEND_EVERY_S = 0.01
BYTES_A_MESSAGE = 400
NONSENSE: list[Any] = [None, {}, {"id": "", "conversation_id": "c"}, {"conversation_id": "c", "metadata": {"big": {1}}}]

escaped: list[str] = []
outcomes: dict[str, str] = {}
problems: dict[str, int] = {}
memory_mib: list[float] = []
totals = {"sent": 0, "unsettled": 0, "reconnects": 0, "resent": 0}
stopping = asyncio.Event()


def sometimes(draw: random.Random, share: float) -> None:
    if draw.random() < share:
        raise RuntimeError("the caller is at fault")


def settled(key: str, future: asyncio.Future[None]) -> None:
    totals["unsettled"] -= 1
    error = future.exception()
    outcome = error.code if isinstance(error, ParleyError) else "acked" if error is None else repr(error)
    outcomes[key] = "settled twice" if key in outcomes else outcome


async def bot(url: str, index: int, draw: random.Random) -> None:
    async def token() -> str:
        sometimes(draw, 0.1)
        return f"token-{draw.randrange(10**6)}"

    def on_problem(problem: ParleyError) -> None:
        problems[problem.code] = problems.get(problem.code, 0) + 1
        sometimes(draw, 0.2)

    options: dict[str, Any] = {"connect_timeout": 120, "answer_timeout": 1.0, "max_buffered": 100, "backoff": (0.005, 0.1)}
    client = ParleyClient(url, token=token, insights=True, on_problem=on_problem, on_closed=on_problem, **options)
    await client.connect()
    reading = asyncio.create_task(read_insights(client))
    n = 0
    while not stopping.is_set():
        await client.room()
        id, conversation = str(n), f"bot-{index}-{n % 3}"
        totals["sent"] += 1
        totals["unsettled"] += 1
        text = "x" * draw.randrange(500)
        future = client.submit({"id": id, "conversation_id": conversation, "speaker": "user", "text": text})
        future.add_done_callback(lambda it, key=f"{conversation} {id}": settled(key, it))  # type: ignore[misc]
        if draw.random() < 0.05:
            client.submit(draw.choice(NONSENSE))
        n += 1
        await asyncio.sleep(draw.random() * 2 * SEND_EVERY_S)
    until = asyncio.get_running_loop().time() + SETTLE_S
    while client.pending > 0 and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.02)
    totals["reconnects"] += client.counters.reconnects
    totals["resent"] += client.counters.resent
    await client.close(timeout=0)
    await reading


async def read_insights(client: ParleyClient) -> None:
    seen = 0
    async for _ in client.insights:
        seen += 1
        if seen % 100 == 0:
            await asyncio.sleep(0.05)


async def sample() -> None:
    while True:
        await asyncio.sleep(1)
        kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory_mib.append(kib / 1_024 - totals["sent"] * BYTES_A_MESSAGE / 2**20)


async def main(url: str, seed: int, clients: int) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: escaped.append(f"the event loop: {context.get('message')} {context.get('exception')!r}"))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sampling = asyncio.create_task(sample())
    bots = [asyncio.create_task(bot(url, index, random.Random(seed * 1_000 + index))) for index in range(clients)]
    await reader.readline()
    stopping.set()
    for result in await asyncio.gather(*bots, return_exceptions=True):
        if result is not None:
            escaped.append(f"a bot ended: {result!r}")
    sampling.cancel()
    gc.collect()
    await asyncio.sleep(0.2)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()]
    escaped.extend(f"a task goes on: {task!r}" for task in left)
    heap = {"first": round(memory_mib[0]), "most": round(max(memory_mib))} if memory_mib else {"first": 0, "most": 0}
    report = {"outcomes": outcomes, "ackedTwice": 0, "escaped": escaped, "heapMiB": heap, "problems": problems, **totals}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
