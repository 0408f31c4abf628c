"""What the conformance kit does not see: the host's side."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Iterator

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve

from parley_client import BlockingClient, Message, ParleyClient, ParleyError

LIMITS = {"max_frame_bytes": 65_536, "max_in_flight": 8, "ping_interval_ms": 25_000}
FAST = (0.001, 0.01)


async def gateway(socket: ServerConnection) -> None:
    """Acks everything, with an insight for each; the text may ask for something else."""
    await socket.send(json.dumps({"type": "welcome", "session": "s", "limits": LIMITS}))
    async for data in socket:
        message = json.loads(data)
        if message["text"] == "lose" and message["attempt"] == 1:
            socket.transport.abort()
            return
        if message["text"] == "for good":
            await socket.close(4008, "no more")
        if message["text"] == "silence":
            continue
        named = {"id": message["id"], "conversation_id": message["conversation_id"]}
        await socket.send(json.dumps({"type": "ack", "ids": [named["id"]], "conversation_ids": [named["conversation_id"]]}))
        insight = {"type": "insight", **named, "outcome": "enriched", "provisional": False, "revision": 0}
        await socket.send(json.dumps(insight))


def url_of(server: Server) -> str:
    return f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/stream"


def message(id: str, text: str = "Hi") -> Message:
    return {"id": id, "conversation_id": "c", "speaker": "user", "text": text}


def test_listeners_that_raise_and_sends_that_nobody_awaits_end_nothing() -> None:
    loud: list[Any] = []

    def boom(error: ParleyError) -> None:
        raise RuntimeError(error.code)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loud.append(context))
        async with serve(gateway, "127.0.0.1", 0) as server:
            client = ParleyClient(url_of(server), token="t", backoff=FAST, max_buffered=2, on_problem=boom, on_closed=boom)
            async with client:
                await client.send(message("1", "lose"))
                assert client.counters.resent == client.counters.reconnects == 1
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.send(message("2", "silence")), 0.01)
                assert client.pending == 1
                for n in range(5):
                    client.submit(message(f"more {n}", "silence"))
                client.submit(message("last", "for good"))
                await client.close(timeout=0)
            assert client.counters.listener_failures >= 2
            with pytest.raises(ParleyError, match="closed before"):
                await client.send(message("late"))
        gc.collect()

    asyncio.run(main())
    assert loud == []


def test_insights_are_bounded_and_end_with_the_client() -> None:
    async def main() -> list[str]:
        async with serve(gateway, "127.0.0.1", 0) as server:
            client = ParleyClient(url_of(server), token="t", insights=True, max_buffered_insights=3)
            async with client:
                for n in range(10):
                    await client.room()
                    await client.send(message(str(n)))
                while client.counters.insights < 10:
                    await asyncio.sleep(0.001)
            assert client.counters.insights_dropped == 7
            return [insight["id"] async for insight in client.insights]

    assert asyncio.run(main()) == ["7", "8", "9"]


@pytest.mark.parametrize(
    "options",
    [{"url": "127.0.0.1:8080"}, {"url": "mailto:x"}, {"url": None}, {"token": "a\nb"}, {"token": None}, {"max_buffered": 0}],
)
def test_options_that_nothing_can_be_done_with_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParleyError) as refused:
        ParleyClient(**{"url": "ws://127.0.0.1/v1/stream", "token": "t", **options})
    assert refused.value.code == "invalid_option"


@pytest.fixture
def running() -> Iterator[str]:
    """A gateway in a thread of its own."""
    ready: list[str] = []
    up, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        async with serve(gateway, "127.0.0.1", 0) as server:
            ready.append(url_of(server))
            up.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    up.wait()
    yield ready[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


def test_a_program_without_asyncio_sends_and_reads(running: str) -> None:
    with BlockingClient(running, token="t", insights=True, backoff=FAST) as client:
        client.send(message("1"))
        futures = [client.submit(message(str(n), "lose" if n == 5 else "Hi")) for n in range(2, 9)]
        assert [future.result(10) for future in futures] == [None] * 7
        with pytest.raises(FutureTimeoutError):
            client.submit(message("2", "silence")).result(0.01)
        assert {insight["id"] for insight in client.insights(timeout=0.2)} == set(map(str, range(1, 9)))
        client.close(timeout=0)
    with pytest.raises(ParleyError, match="closed"):
        client.send(message("late"))
    with pytest.raises(ParleyError) as refused:
        BlockingClient("ws://127.0.0.1:9/v1/stream", token="t", connect_timeout=0.05, backoff=FAST)
    assert refused.value.code == "connect_timeout"
