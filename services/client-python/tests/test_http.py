from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterator

import pytest

from parley_client import HttpClient, Message, ParleyError

Answer = tuple[int, dict[str, str], Any]


class Gateway:
    """Answers each request as the test says; `None` ends the connection without an answer."""

    def __init__(self) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.tokens: list[str | None] = []
        self.answers: list[Callable[[list[dict[str, Any]]], Answer | None]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
                gateway.requests.append(messages)
                gateway.tokens.append(self.headers["Authorization"])
                answer = (gateway.answers.pop(0) if gateway.answers else acked)(messages)
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, body = answer
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def result(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": message["id"], "conversation_id": message["conversation_id"], "status": "acked", **fields}


def acked(messages: list[dict[str, Any]]) -> Answer:
    return 200, {}, {"results": [result(it) for it in messages]}


def nacking(**codes: str) -> Callable[[list[dict[str, Any]]], Answer]:
    def answer(messages: list[dict[str, Any]]) -> Answer:
        nacked = {id: {"status": "nacked", "code": code} for id, code in codes.items()}
        return 200, {}, {"results": [result(it, **nacked.get(it["id"], {})) for it in messages]}

    return answer


def refusing(status: int, code: str | None, **headers: str) -> Callable[[list[dict[str, Any]]], Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: (status, named, {"code": code} if code else b"<html>")


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    it = Gateway()
    yield it
    it.server.shutdown()
    it.server.server_close()


def messages(*ids: str) -> list[Message]:
    return [{"id": id, "conversation_id": "c", "speaker": "user", "text": "Hi"} for id in ids]


def codes(results: list[ParleyError | None]) -> list[str | None]:
    return [error.code if error else None for error in results]


def test_each_message_has_its_own_result_and_what_is_refused_for_now_goes_again(gateway: Gateway) -> None:
    pauses: list[float] = []
    gateway.answers = [nacking(b="rate_limited", c="overloaded", d="text_too_long"), nacking(b="unavailable")]
    with HttpClient(gateway.url, token="secret\n", sleep=pauses.append) as client:
        assert codes(client.send(messages("a", "b", "c", "d", "x" * 200))) == [None, None, None, "text_too_long", "invalid_message"]
    sent = [[(it["id"], it["attempt"]) for it in request] for request in gateway.requests]
    assert sent == [[("a", 1), ("b", 1), ("c", 1), ("d", 1)], [("b", 1), ("c", 1)], [("b", 2)]]
    assert pauses == [1.0, 1.0] and set(gateway.tokens) == {"Bearer secret"}


def test_a_lost_answer_raises_the_attempt_and_a_proxy_is_waited_for(gateway: Gateway) -> None:
    pauses: list[float] = []
    gateway.answers = [lambda _: None, refusing(502, None), refusing(403, "blocked"), refusing(429, "rate_limited", Retry_After="7")]
    with HttpClient(gateway.url, token="secret", sleep=pauses.append) as client:
        assert codes(client.send(messages("a"))) == [None]
    assert [request[0]["attempt"] for request in gateway.requests] == [1, 2, 2, 2, 2]
    assert len(pauses) == 4 and pauses[3] >= 7


def test_requests_hold_500_messages_and_a_mebibyte(gateway: Gateway) -> None:
    with HttpClient(gateway.url, token="secret") as client:
        assert codes(client.send(messages(*map(str, range(1_001))))) == [None] * 1_001
        large: list[Message] = [{"id": str(n), "conversation_id": "c", "speaker": "user", "text": "ä" * 200_000} for n in range(3)]
        huge: Message = {"id": "huge", "conversation_id": "c", "speaker": "user", "text": "x" * (1 << 20)}
        assert codes(client.send([*large, huge])) == [None, None, None, "frame_too_large"]
    assert [len(request) for request in gateway.requests] == [500, 500, 1, 2, 1]


def test_a_token_is_renewed_and_what_is_final_is_raised(gateway: Gateway) -> None:
    tokens = iter(["first", "second", *"3456789"])
    gateway.answers = [refusing(401, "token_expired")]
    with HttpClient(gateway.url, token=lambda: next(tokens), sleep=lambda _: None) as client:
        assert codes(client.send(messages("a"))) == [None]
        gateway.answers = [refusing(401, "token_invalid")] * 3
        with pytest.raises(ParleyError, match="401 token_invalid"):
            client.send(messages("b"))
        gateway.answers = [refusing(403, "role_missing")]
        with pytest.raises(ParleyError) as refused:
            client.send(messages("c"))
    assert (refused.value.code, refused.value.detail) == ("handshake_refused", "role_missing")
    assert gateway.tokens[:2] == ["Bearer first", "Bearer second"]


def test_what_is_not_acked_in_time_is_said_to_be_so(gateway: Gateway) -> None:
    gateway.server.shutdown()
    gateway.server.server_close()
    with HttpClient(gateway.url, token="secret", sleep=lambda _: None) as client:
        assert codes(client.send(messages("a", "b"), timeout=0.05)) == ["not_acked_in_time"] * 2


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ws://127.0.0.1:8080", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ParleyError, match="allowed is http://HOST"):
        HttpClient(url, token="secret")
