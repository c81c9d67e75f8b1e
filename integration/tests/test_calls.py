"""Calls beside chat: forms, work in the background, attempts, paths of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..bootstrap import Route, free_port
from ..upstream import End, Request, Response, Upstream
from .conftest import PLUGIN, Gateways
from .dialects import OPENAI, USED
from .gateway import Gateway


def answered(body: Any, **more: Any) -> Response:
    """An answer of one JSON document."""
    return Response([json.dumps(body).encode()], **more)


def test_a_form_names_its_model_and_seconds_are_charged(gateway: Gateway) -> None:
    script = gateway.upstream.script(
        answered({"text": "hello", "usage": {"type": "duration", "seconds": 7}}), uuid4().hex
    )
    sound = bytes(range(256)) * 4000
    seen = httpx.post(
        gateway.envoy.url + "/v1/audio/transcriptions",
        data={"model": "whisper-1"},
        files={"file": ("a.wav", sound, "audio/wav")},
        headers={"x-replay-id": script, "x-tenant-id": "acme", "host": "api.openai.com"},
    )
    assert seen.status_code == 200
    row = gateway.envoy.row(script)
    assert (row["api"], row["request_model"], row["usage"]) == (
        "openai.audio.transcriptions",
        "whisper-1",
        "reported",
    )
    # $0.0001 a second.
    assert row["cost_nano_usd"] == "700000"


def response(state: str, **more: Any) -> dict[str, Any]:
    """A response made in the background."""
    return {"id": "resp_1", "background": True, "model": "gpt-5-mini", "status": state, **more}


def test_work_in_the_background_counts_once_however_often_it_is_asked_for(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "user": [{"header": "x-user"}]})
    usage = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    queued = gateway.call("/v1/responses", {"background": True}, answered(response("queued", usage=None)))
    assert queued.fields("usage", "cost_nano_usd") == {"usage": "absent", "cost_nano_usd": "0"}
    rows = []
    for state, used in [("in_progress", None), ("completed", usage), ("completed", usage)]:
        script = gateway.upstream.script(answered(response(state, usage=used)), uuid4().hex)
        headers = {"x-replay-id": script, "x-tenant-id": "acme"}
        gateway.client.get(gateway.envoy.url + "/v1/responses/resp_1", headers=headers)
        rows.append(gateway.envoy.row(script))
    assert [row["usage"] for row in rows] == ["absent", "reported", "absent"]
    assert [row["output_tokens"] for row in rows] == [None, "20", None]
    assert {row["tenant"] for row in rows} == {"acme"}


def once(failure: Response) -> Callable[[Request], Response]:
    """An upstream that fails at the first attempt of each call."""
    seen: set[str] = set()

    def answer(request: Request) -> Response:
        name = request.header("x-call") or ""
        if name in seen:
            return OPENAI.json()
        seen.add(name)
        return failure

    return answer


def test_attempts_are_counted_and_estimated(gateways: Gateways) -> None:
    with Upstream(once(Response(status=503))) as upstream:
        routes = [Route("upstream", retry_on="5xx")]
        gateway = gateways(upstreams={"upstream": upstream.port}, routes=routes)
        call = uuid4().hex
        headers = {"x-replay-id": call, "x-call": call, "x-tenant-id": "acme"}
        body = OPENAI.body(max_tokens=100)
        seen = gateway.client.post(gateway.envoy.url + OPENAI.path, json=body, headers=headers)
        assert (seen.status_code, len(upstream.requests)) == (200, 2)
        row = gateway.envoy.row(call)
    assert (row["attempts"], row["usage"]) == ("2", "estimated")
    assert int(row["output_tokens"] or 0) == int(USED["output_tokens"]) + 100


@pytest.mark.parametrize(
    ("failure", "usage"),
    [
        (None, "reported"),
        (Response(status=503), "reported"),
        (Response(status=None, end=End.RESET), "estimated"),
    ],
    ids=["no-connection", "a-status", "a-reset"],
)
def test_an_attempt_that_the_router_logs_as_failed_is_not_estimated(
    gateways: Gateways, failure: Response | None, usage: str
) -> None:
    with Upstream(once(failure) if failure else lambda _: OPENAI.json()) as upstream:
        # Every call comes to the dead one first, or last and alone.
        ports = upstream.port if failure else [free_port(), upstream.port]
        routes = [Route("upstream", retry_on="5xx,reset,connect-failure")]
        gateway = gateways(upstreams={"upstream": ports}, routes=routes, attempts=True)
        names = [uuid4().hex for _ in range(4)]
        for name in names:
            headers = {"x-replay-id": name, "x-call": name, "x-tenant-id": "acme"}
            body = OPENAI.body(max_tokens=100)
            seen = gateway.client.post(gateway.envoy.url + OPENAI.path, json=body, headers=headers)
            assert seen.status_code == 200
        rows = [gateway.envoy.row(name) for name in names]
    retried = [row for row in rows if row["attempts"] == "2"]
    assert {row["usage"] for row in retried} == {usage}
    assert all(row["usage"] == "reported" for row in rows if row not in retried)
    more = 100 if usage == "estimated" else 0
    assert {row["output_tokens"] for row in retried} == {str(int(USED["output_tokens"]) + more)}


def test_a_rule_makes_a_call_of_any_path(gateways: Gateways) -> None:
    rule = {"path": "/ask/*", "provider": "vllm", "api": "openai.chat"}
    gateway = gateways({**PLUGIN, "providers": [rule]})
    seen = gateway.call("/ask/me", OPENAI.body(), OPENAI.json())
    assert seen.fields(*USED) == USED
    assert seen.fields("api", "provider") == {"api": "openai.chat", "provider": "vllm"}
    elsewhere = gateway.call("/asked", OPENAI.body(), OPENAI.json())
    assert elsewhere.row["decision"] == "skip"


def test_what_is_free_has_no_cost_and_is_known(gateway: Gateway) -> None:
    counted = gateway.call("/v1/messages/count_tokens", {"model": "m"}, answered({"input_tokens": 9}))
    expected = {"api": "anthropic.count_tokens", "usage": "absent", "cost_nano_usd": "0"}
    assert counted.fields(*expected) == expected
