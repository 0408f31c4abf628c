"""Drives the client for the conformance kit: commands on standard input, events on standard output
(services/client/conformance/README.md)."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Iterator

from parley_client import ParleyClient, ParleyError


def tell(client: str, event: str, **fields: Any) -> None:
    print(json.dumps({"client": client, "event": event, **fields}), flush=True)


def codes_of(error: ParleyError) -> dict[str, str]:
    return {"code": error.code, **({} if error.detail is None else {"detail": error.detail})}


class Driven:
    """The client of one scenario."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: ParleyClient | None = None
        self.connected = asyncio.Event()

    async def connect(self, command: dict[str, Any]) -> None:
        tokens: list[str | None] = command.get("tokens", ["token"])
        left: Iterator[str | None] = iter([*tokens, *[tokens[-1]] * 1_000])

        def provide() -> str:
            token = next(left)
            if token is None:
                raise RuntimeError("no token now")
            return token

        def on_closed(error: ParleyError) -> None:
            if self.connected.is_set() and error.code != "closed":
                tell(self.name, "given_up", **codes_of(error))

        fixed = tokens[0] if len(tokens) == 1 else None
        backoff = command["backoff"]
        self.client = client = ParleyClient(
            command["url"],
            token=provide if fixed is None else fixed,
            insights=command.get("insights", False),
            max_buffered=command.get("max_buffered", 1_024),
            connect_timeout=command.get("connect_timeout_ms", 30_000) / 1_000,
            backoff=(backoff["min_ms"] / 1_000, backoff["max_ms"] / 1_000),
            on_closed=on_closed,
        )
        try:
            await client.connect()
        except ParleyError as error:
            tell(self.name, "failed", **codes_of(error))
            return
        self.connected.set()
        tell(self.name, "connected")
        async for insight in client.insights:
            tell(self.name, "insight", id=insight["id"], conversation_id=insight["conversation_id"])

    async def send(self, message: Any) -> None:
        await self.connected.wait()
        assert self.client
        try:
            await self.client.send(message)
            tell(self.name, "acked", id=message["id"])
        except ParleyError as error:
            tell(self.name, "refused", id=message["id"], **codes_of(error))

    async def close(self, timeout_ms: float) -> None:
        if self.client:
            await self.client.close(timeout=timeout_ms / 1_000)
        tell(self.name, "ended")


async def main() -> None:
    reader = asyncio.StreamReader(limit=1 << 22)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    driven: dict[str, Driven] = {}
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        command = json.loads(line)
        one = driven.setdefault(command["client"], Driven(command["client"]))
        if command["do"] == "connect":
            work = one.connect(command)
        elif command["do"] == "send":
            work = one.send(command["message"])
        else:
            work = one.close(command["timeout_ms"])
        tasks.add(asyncio.ensure_future(work))


if __name__ == "__main__":
    asyncio.run(main())
