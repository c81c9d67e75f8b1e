"""Answers beside the plain 200: other statuses, interim ones, errors within, work told many times."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..bootstrap import Route
from ..upstream import Response
from .conftest import Gateway, Gateways
from .dialects import ANTHROPIC, OPENAI, USED, Dialect


def test_an_interim_answer_changes_nothing(gateway: Gateway) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    whole = OPENAI.json()
    answer = Response(whole.steps, headers=whole.headers, before=[early])
    seen = gateway.ask(OPENAI, answer=answer)
    assert seen.fields(*USED) == USED
    assert seen.answer.status_code == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [(307, b""), (303, b"<html>elsewhere</html>"), (404, b"no"), (429, b'{"error":{}}'), (502, b"")],
)
def test_what_is_no_success_costs_nothing(gateway: Gateway, status: int, body: bytes) -> None:
    headers = [("location", "https://elsewhere.example/")]
    answer = Response([body] if body else [], status=status, headers=headers, chunked=False)
    seen = gateway.ask(OPENAI, answer=answer)
    assert seen.answer.status_code == status
    assert seen.fields("usage", "cost_nano_usd") == {"usage": "absent", "cost_nano_usd": "0"}


def test_a_failure_that_tells_usage_is_charged_what_it_tells(gateway: Gateway) -> None:
    whole = OPENAI.json()
    seen = gateway.ask(OPENAI, answer=Response(whole.steps, status=500, headers=whole.headers))
    assert seen.fields(*USED) == USED
    assert seen.answer.status_code == 500


def test_an_answer_without_a_body_is_no_reported_nothing(gateway: Gateway) -> None:
    seen = gateway.ask(OPENAI, answer=Response(status=204, headers=(), chunked=False))
    assert seen.answer.status_code == 204
    assert seen.fields("usage", "output_tokens") == {"usage": "estimated", "output_tokens": "0"}


def test_what_envoy_answers_itself_costs_nothing(gateways: Gateways) -> None:
    told = json.dumps(OPENAI.whole)
    gateway = gateways(routes=[Route("", answer=told)])
    name = uuid4().hex
    headers = {"x-replay-id": name}
    seen = httpx.post(gateway.envoy.url + OPENAI.path, json=OPENAI.body(), headers=headers, timeout=20)
    assert seen.text == told
    row = gateway.envoy.row(name)
    assert (row["usage"], row["cost_nano_usd"]) == ("absent", "0")


ERRORS = {
    "openai": b'data: {"error":{"message":"overloaded","code":500}}\n\n',
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
}


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=lambda dialect: dialect.name)
def test_an_error_in_mid_stream_makes_it_an_estimate(gateway: Gateway, dialect: Dialect) -> None:
    chunks = [*dialect.chunks()[:3], ERRORS[dialect.name]]
    seen = gateway.ask(dialect, stream=True, answer=dialect.stream(chunks))
    assert seen.answer.content == b"".join(chunks)
    assert seen.row["usage"] == "estimated"
    assert int(seen.row["output_tokens"] or 0) > 0


def test_a_response_that_failed_is_charged_the_usage_that_it_ends_with(gateway: Gateway) -> None:
    failed: dict[str, Any] = {
        "type": "response.failed",
        "response": {
            "id": "resp_failed",
            "model": "gpt-5-mini",
            "status": "failed",
            "error": {"code": "server_error"},
            "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13},
        },
    }
    events = [{"type": "response.output_text.delta", "delta": "ab"}, failed]
    chunks = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    body = {"model": "gpt-5-mini", "stream": True, "input": "hi"}
    seen = gateway.call("/v1/responses", body, OPENAI.stream(chunks))
    expected = {"usage": "reported", "input_tokens": "9", "output_tokens": "4"}
    assert seen.fields(*expected) == expected


def test_many_polls_at_once_put_the_work_down_once_across_workers(gateways: Gateways) -> None:
    gateway = gateways(workers=2)
    told = {
        "id": "resp_many",
        "background": True,
        "model": "gpt-5-mini",
        "status": "completed",
        "usage": {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13},
    }
    answer = Response([json.dumps(told).encode()])
    names = [gateway.upstream.script(answer, uuid4().hex) for _ in range(48)]

    def poll(name: str) -> int:
        url = f"{gateway.envoy.url}/v1/responses/resp_many"
        return httpx.get(url, headers={"x-replay-id": name}, timeout=20).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(poll, names)) == {200}
    told_as = Counter(gateway.envoy.row(name)["usage"] for name in names)
    assert told_as == {"reported": 1, "absent": 47}
