"""What clients, upstreams and operators can get wrong: nobody hangs, and no worker loses its VM."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from ..codings import CODINGS, coded
from ..upstream import Response
from .conftest import PLUGIN, Gateway, Gateways
from .dialects import OPENAI, USED, Dialect

LIMITED = {**PLUGIN, "max_buffered": 8_192}


@pytest.mark.parametrize("held", [False, True], ids=["headers-go-on", "headers-held"])
def test_a_body_beyond_the_limit_streams_through_and_is_still_metered(
    gateways: Gateways, dialect: Dialect, held: bool
) -> None:
    gateway = gateways({**LIMITED, "hold_headers": held}, buffer_limit=16_384)
    body = json.dumps(dialect.body(note="x" * 300_000)).encode()
    headers = {"x-tenant-id": "acme", "content-type": "application/json"}
    seen = gateway.ask(dialect, body=body, headers=headers)
    assert seen.answer.status_code == 200
    assert seen.request is not None
    assert seen.request.body == body
    assert seen.row["tenant"] == "acme"
    assert seen.fields(*USED) == USED


@pytest.mark.parametrize(
    ("plugin", "stop"),
    [
        ({**PLUGIN, "hold_headers": True}, False),
        ({**PLUGIN, "hold_headers": False}, True),
        ({**PLUGIN, "tenant": [{"body": "/user"}], "hold_headers": True}, False),
    ],
    ids=["it says held, Envoy does not", "Envoy holds, it does not say so", "and it needs the body"],
)
def test_a_configuration_that_disagrees_with_envoy_hangs_nobody(
    gateways: Gateways, plugin: dict[str, Any], stop: bool, dialect: Dialect
) -> None:
    gateway = gateways(plugin, stop_iteration=stop)
    started = time.monotonic()
    for _ in range(4):
        seen = gateway.ask(dialect, headers={"x-tenant-id": "acme"})
        assert seen.answer.status_code == 200
        assert seen.fields(*USED) == USED
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "name", ["x-tenant-id", "x-feature", "x-anything", "content-type", "accept-encoding"]
)
def test_request_headers_need_not_be_text(either_mode: Gateway, name: str) -> None:
    odd = [("x-replay-id", "odd"), (name, b"\xff\xfe\xc3(")]
    url = either_mode.envoy.url + OPENAI.path
    answer = either_mode.client.post(url, headers=odd, content=json.dumps(OPENAI.body()).encode())
    assert answer.status_code == 200
    after = either_mode.ask(OPENAI, headers={"x-tenant-id": "acme"})
    assert after.fields(*USED) == USED


@pytest.mark.parametrize("name", [b"x-anything", b"content-type", b"content-encoding", b"openai-version"])
def test_response_headers_need_not_be_text(gateway: Gateway, name: bytes) -> None:
    body = OPENAI.json().body()
    seen = gateway.ask(OPENAI, answer=Response([body], headers=[(name, b"\xff\xfe\xc3(")]))
    assert seen.answer.status_code == 200
    assert seen.row["usage"] in ("reported", "estimated", "absent")
    assert gateway.ask(OPENAI).fields(*USED) == USED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"model": 7, "stream": "yes", "messages": null}',
        b'{"model": "\\ud800", "user": {"a": 1}}',
        b"\xff\xfe\x00\x01",
        b"[" * 5_000,
        b'{"model": "' + b"m" * 100_000 + b'"}',
    ],
    ids=["empty", "cut", "null", "array", "wrong types", "half a pair", "bytes", "deep", "long model"],
)
def test_any_request_body_passes(either_mode: Gateway, body: bytes) -> None:
    seen = either_mode.call(OPENAI.path, body, OPENAI.json(), headers={"x-tenant-id": "acme"})
    assert seen.answer.status_code == 200
    assert seen.request is not None
    assert seen.request.body == body
    assert seen.fields(*USED) == USED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"usage": null}',
        b'{"usage": []}',
        b'{"usage": {"prompt_tokens": "many"}}',
        b'{"usage": {"prompt_tokens": -5, "completion_tokens": 1e400}}',
        b'{"usage": {"prompt_tokens": 99999999999999999999999999}}',
        b'{"choices": [' + b"[" * 5_000,
        b"\x00" * 1_000,
    ],
    ids=["empty", "null", "array", "text", "out of range", "huge", "deep", "zeros"],
)
def test_any_response_body_passes(gateway: Gateway, dialect: Dialect, body: bytes) -> None:
    seen = gateway.ask(dialect, answer=Response([body]))
    assert seen.answer.status_code == 200
    assert seen.answer.content == body
    assert gateway.ask(dialect).fields(*USED) == USED


@pytest.mark.parametrize("coding", CODINGS)
def test_a_broken_coded_answer_passes_as_it_is(gateway: Gateway, coding: str) -> None:
    headers = (("content-type", "application/json"), ("content-encoding", coding))
    packed = b"".join(coded(coding, [OPENAI.json().body()]))
    answer = Response([packed[:9] + b" this is not it " + packed[9:]], headers=headers)
    script = gateway.upstream.script(answer, f"broken-{coding}")
    url = gateway.envoy.url + OPENAI.path
    with httpx.stream("POST", url, json=OPENAI.body(), headers={"x-replay-id": script}) as response:
        assert b"".join(response.iter_raw()) == answer.body()
    assert gateway.envoy.row(script)["usage"] in ("absent", "estimated")


def test_many_calls_at_once_are_each_counted_once(gateways: Gateways) -> None:
    gateway = gateways(workers=2)

    def one(at: int) -> dict[str, Any]:
        # A client of its own, so that both workers get connections.
        with httpx.Client(timeout=20) as client:
            streamed = at % 2 == 1
            return gateway.ask(OPENAI, stream=streamed, client=client, headers={"x-tenant-id": "crowd"}).row

    with ThreadPoolExecutor(16) as pool:
        rows = list(pool.map(one, range(64)))
    assert all({name: row[name] for name in USED} == USED for row in rows)
    assert len({row["call_id"] for row in rows}) == 64
    counted = [
        value
        for labels, value in gateway.envoy.metrics()["tollgate_requests_total"]
        if labels["tenant"] == "crowd"
    ]
    assert sum(counted) == 64
