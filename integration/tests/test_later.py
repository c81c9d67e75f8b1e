"""Work that is asked for later: deferred, asynchronous, in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from ..envoy import Row, total
from ..quota import Quota
from ..upstream import Response, Upstream
from .dialects import OPENAI
from .gateway import Gateway
from .house import House, opened
from .test_calls import answered

USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
XAI, PERPLEXITY = "api.x.ai", "api.perplexity.ai"


def chat(model: str) -> dict[str, Any]:
    """A chat that is done."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    return {"id": uuid4().hex, "model": model, "choices": [choice], "usage": USAGE}


def poll(gateway: Gateway, host: str, path: str, answer: Response) -> Row:
    """The row of a call that asks what became of another, and gets this answer as it is."""
    script = gateway.upstream.script(answer, uuid4().hex)
    headers = {"host": host, "x-replay-id": script, "x-tenant-id": "acme"}
    seen = gateway.client.get(gateway.envoy.url + path, headers=headers)
    assert (seen.status_code, seen.content) == (answer.status, answer.body())
    return gateway.envoy.row(script)


def test_a_chat_that_xai_defers_counts_when_it_is_asked_for(gateway: Gateway) -> None:
    body = {**OPENAI.body(), "model": "grok-4", "deferred": True}
    told = answered({"request_id": uuid4().hex})
    asked = gateway.call("/v1/chat/completions", body, told, headers={"host": XAI})
    assert asked.request is not None
    assert json.loads(asked.request.body) == body
    assert asked.fields("provider", "usage", "cost_nano_usd") == {
        "provider": "xai",
        "usage": "absent",
        "cost_nano_usd": "0",
    }
    done = answered(chat("grok-4"))
    path = "/v1/chat/deferred-completion/d1"
    answers = [Response(status=202, chunked=False), done, done]
    rows = [poll(gateway, XAI, path, answer) for answer in answers]
    assert [row["usage"] for row in rows] == ["absent", "reported", "absent"]
    assert [row["output_tokens"] for row in rows] == [None, "20", None]
    assert rows[1]["model"] == "grok-4"
    assert int(rows[1]["cost_nano_usd"]) > 0


@pytest.mark.parametrize("path", ["/async/chat/completions", "/v1/async/sonar"])
def test_an_asynchronous_chat_counts_once_when_it_is_done(gateway: Gateway, path: str) -> None:
    job = uuid4().hex

    def state(status: str, response: Any = None) -> Response:
        return answered({"id": job, "model": "sonar-pro", "status": status, "response": response})

    body = {"request": {"model": "sonar-pro", "messages": [{"role": "user", "content": "hi"}]}}
    asked = gateway.call(path, body, state("CREATED"), headers={"host": PERPLEXITY})
    expected = {"api": "perplexity.async", "request_model": "sonar-pro", "usage": "absent"}
    assert asked.fields(*expected) == expected
    done = state("COMPLETED", chat("sonar-pro"))
    rows = [poll(gateway, PERPLEXITY, f"{path}/{job}", it) for it in [state("IN_PROGRESS"), done, done]]
    assert [row["usage"] for row in rows] == ["absent", "reported", "absent"]
    assert [row["output_tokens"] for row in rows] == [None, "20", None]


@pytest.fixture(scope="module")
def watched(upstream: Upstream, quota: Quota) -> Iterator[House]:
    """A gateway with a ledger."""
    with opened(upstream, quota) as house:
        yield house


def test_the_ledger_has_what_was_deferred_once(watched: House) -> None:
    done = answered(chat("grok-4"))
    rows = [poll(watched, XAI, "/v1/chat/deferred-completion/d2", done) for _ in range(3)]
    ledger = watched.agree()
    costs = [ledger[row["call_id"]]["cost"] for row in rows]
    assert costs[0] > 0
    assert costs[1:] == [0, 0]


@pytest.mark.parametrize(
    "path",
    ["/v1/files/file-1/content", "/v1/batches/batch_1", "/v1/messages/batches/b/results", "/v1/batch/jobs/j"],
)
def test_what_batches_have_come_to_passes_untouched_and_is_counted(gateway: Gateway, path: str) -> None:
    line = {"custom_id": "a", "response": {"status_code": 200, "body": OPENAI.whole}}
    result = Response([json.dumps(line).encode() + b"\n"] * 3)
    before = skipped(gateway)
    row = poll(gateway, "api.openai.com", path, result)
    assert (row["decision"], row["usage"]) == ("skip", None)
    assert skipped(gateway) == before + 1


def skipped(gateway: Gateway) -> int | float:
    """Requests that were no call, as counted."""
    return total(gateway.envoy.metrics(), "tollgate_skipped_total")
