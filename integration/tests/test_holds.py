"""What calls hold of budgets: strict limits, shorter answers, waiting, streams that are ended.

Budgets of the filter's own, on a real Envoy, and what the official SDKs make of it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai

from ..bootstrap import WASM, Route, Setup
from ..envoy import Envoy
from ..upstream import End, Response, Upstream, sse
from .dialects import DIALECTS, Dialect
from .house import House

EACH = 24
NUMBERS = count()
PLANS: dict[str, dict[str, Any]] = {
    "firm": {"limit": {"usd": "1"}, "hold": "worst_case"},
    "lower": {"limit": {"tokens": 3_000}, "hold": "worst_case", "too_large": "lower"},
    "ended": {"limit": {"tokens": 5_000}, "outrun": "end"},
    "endless": {"limit": {"tokens": 5_000}},
    "patient": {"limit": {"tokens": 5_000}, "wait_ms": 5_000},
    "dear": {"limit": {"usd": "1"}},
}


@pytest.fixture(scope="module")
def house(upstream: Upstream) -> Iterator[House]:
    """One Envoy, which sends calls again that the upstream fails."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    budgets = [
        {"tenant": f"{name}-{at}", "window": "year", "action": "refuse", **budget}
        for name, budget in PLANS.items()
        for at in range(EACH)
    ]
    plugin = {
        "tenant": [{"header": "x-tenant-id"}],
        "strip": ["x-tenant-id"],
        "hold_headers": True,
        "tell": ["remaining", "cost"],
        "budgets": budgets,
    }
    routes = [Route("upstream", retry_on="5xx")]
    upstreams = {"upstream": upstream.port}
    with Envoy(Setup(upstreams=upstreams, plugin=plugin, workers=2, routes=routes)) as envoy:
        house = House(envoy, upstream)
        yield house
        house.client.close()
        assert envoy.lost_vms() == []


def someone(plan: str) -> str:
    """A tenant that no other test has used."""
    return f"{plan}-{next(NUMBERS) % EACH}"


def test_a_strict_limit_refuses_what_has_no_bound(house: House) -> None:
    client = openai.OpenAI(base_url=f"{house.envoy.url}/v1", api_key="key")
    before = len(house.upstream.requests)
    with pytest.raises(openai.PermissionDeniedError) as raised:
        client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "hello"}],
            extra_body={"web_search_options": {}},
            extra_headers={"x-tenant-id": someone("firm")},
        )
    assert raised.value.code == "hold_unbounded"
    assert "parameters that this gateway does not know" in str(raised.value)
    assert len(house.upstream.requests) == before


def test_a_strict_call_is_firm_and_sent_once_whatever_the_route_says(house: House) -> None:
    failing = Response([b"{}"], status=500, chunked=False)
    for plan, sent in (("firm", 1), ("dear", 2)):
        before = len(house.upstream.requests)
        exchange = house.post(someone(plan), answer=failing)
        assert exchange.answer.status_code == 500
        assert len(house.upstream.requests) - before == sent, plan
        assert exchange.row["hold"] == ("firm" if plan == "firm" else "soft")


def test_a_dollar_serves_a_dear_model_that_names_no_maximum(house: House) -> None:
    body = {"model": "gpt-4", "messages": [{"role": "user", "content": "hello"}]}
    exchange = house.post(someone("dear"), body=body)
    assert exchange.answer.status_code == 200
    held = float(exchange.answer.headers["x-tollgate-cost-held"])
    assert 0.2 < held < 0.3  # 4,096 tokens at $60 a million
    assert float(exchange.answer.headers["x-ratelimit-limit"]) == 1


def test_a_request_that_is_too_large_is_cut_down(house: House, dialect: Dialect) -> None:
    more = {"generationConfig": {"maxOutputTokens": 90_000}} if dialect.name == "gemini" else {}
    if not more:
        more = {"max_tokens": 90_000}
    body = {**dialect.body(), **more}
    exchange = house.post(someone("lower"), dialect, body=body)
    assert exchange.answer.status_code == 200
    assert exchange.request is not None
    asked = json.loads(exchange.request.body)
    said = asked.get("generationConfig", asked)
    (most,) = (value for key, value in said.items() if key in ("max_tokens", "maxOutputTokens"))
    assert most == int(exchange.answer.headers["x-tollgate-max-output"])
    length = int(exchange.request.header("content-length"))
    assert length == len(exchange.request.body)
    assert 1_500 < most < 3_000 - 1_024
    assert exchange.row["decision"] == "pass"


def test_the_openai_sdk_gets_a_shorter_answer(house: House) -> None:
    client = openai.OpenAI(base_url=f"{house.envoy.url}/v1", api_key="key")
    script = house.upstream.script(DIALECTS[0].json())
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello"}],
        extra_headers={"x-tenant-id": someone("lower"), "x-replay-id": script},
    )
    assert raw.parse().choices[0].message.content
    (sent,) = [json.loads(r.body) for r in house.upstream.requests if r.header("x-replay-id") == script]
    assert sent["max_completion_tokens"] == int(raw.headers["x-tollgate-max-output"])


def chat_event(text: str) -> str:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    common = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}
    return json.dumps({**common, "choices": [choice]})


def endless(events: list[str], names: bool = False) -> Response:
    """A stream that goes on for some seconds."""
    steps: list[Any] = []
    for event in events:
        name = f"event: {json.loads(event)['type']}\n" if names else ""
        steps += [f"{name}data: {event}\n\n".encode(), 0.005]
    return Response(steps, headers=(("content-type", "text/event-stream"),), end=End.NEVER)


def test_the_openai_sdk_raises_when_its_stream_is_ended(house: House) -> None:
    tenant = someone("ended")
    script = house.upstream.script(endless([chat_event("x" * 400)] * 400))
    client = openai.OpenAI(base_url=f"{house.envoy.url}/v1", api_key="key", max_retries=0)
    hangups = house.upstream.hangups
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        extra_headers={"x-tenant-id": tenant, "x-replay-id": script},
    )
    pieces: list[str] = []
    with pytest.raises(openai.APIError) as raised:
        pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    text = "".join(pieces)
    assert raised.value.code == "budget_exceeded"
    assert "usage limit was reached" in str(raised.value)
    assert 4_000 < len(text) < 40_000
    row = house.envoy.row(script)
    assert (row["decision"], row["usage"], row["budget"]) == ("end", "estimated", f"tokens-year/{tenant}")
    # It is charged for what came, once, and the upstream has lost its client.
    assert len(text) // 4 <= int(row["output_tokens"]) < len(text)
    deadline = time.monotonic() + 5
    while house.upstream.hangups == hangups and time.monotonic() < deadline:
        time.sleep(0.05)
    assert house.upstream.hangups > hangups


def test_the_anthropic_sdk_raises_when_its_stream_is_ended(house: House) -> None:
    usage = {"input_tokens": 9, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    start = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 400}}
    events = [{"type": "message_start", "message": message}, start, *[delta] * 400]
    answer = endless([json.dumps(event) for event in events], names=True)
    script = house.upstream.script(answer)
    client = anthropic.Anthropic(base_url=house.envoy.url, api_key="key", max_retries=0)
    # With the maximum that it must name, all of the answer would be held for.
    stream = client.messages.create(
        model="claude-haiku-4-5",
        max_tokens=4_000,
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        extra_body={"max_tokens": None},
        extra_headers={"x-tenant-id": someone("ended"), "x-replay-id": script},
    )
    seen: list[Any] = []
    with pytest.raises(anthropic.APIStatusError) as raised:
        seen.extend(stream)
    assert raised.value.body["error"]["code"] == "budget_exceeded"
    assert 10 < len(seen) < 200


def test_the_openai_sdk_shows_the_error_when_its_response_is_ended(house: House) -> None:
    response = {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "model": "gpt-4o-mini",
    }
    response |= {"output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    created = {"type": "response.created", "sequence_number": 0, "response": response}
    place = {"item_id": "i", "output_index": 0, "content_index": 0, "logprobs": []}
    deltas = [
        {"type": "response.output_text.delta", "sequence_number": at, "delta": "x" * 400, **place}
        for at in range(1, 400)
    ]
    answer = endless([json.dumps(event) for event in [created, *deltas]], names=True)
    script = house.upstream.script(answer)
    client = openai.OpenAI(base_url=f"{house.envoy.url}/v1", api_key="key", max_retries=0)
    stream = client.responses.create(
        model="gpt-4o-mini",
        input="hello",
        stream=True,
        extra_headers={"x-tenant-id": someone("ended"), "x-replay-id": script},
    )
    seen: list[Any] = []
    # It hands an event of this type on as any other, and raises over the end of the stream behind it.
    with pytest.raises(openai.APIError):
        seen.extend(stream)
    assert (seen[-1].type, seen[-1].code) == ("error", "budget_exceeded")
    assert "usage limit was reached" in seen[-1].message
    assert 10 < len(seen) < 200


def test_the_google_sdk_raises_when_its_stream_is_ended(house: House) -> None:
    content = {"parts": [{"text": "x" * 400}], "role": "model"}
    answer = endless(
        [json.dumps({"candidates": [{"content": content}], "modelVersion": "gemini-2.5-flash"})] * 400
    )
    headers = {"x-tenant-id": someone("ended"), "x-replay-id": house.upstream.script(answer)}
    options = genai.types.HttpOptions(base_url=house.envoy.url, headers=headers)
    client = genai.Client(api_key="key", http_options=options)
    seen: list[Any] = []
    with pytest.raises(genai.errors.APIError) as raised:
        seen.extend(client.models.generate_content_stream(model="gemini-2.5-flash", contents="hello"))
    assert "usage limit was reached" in str(raised.value)
    assert 10 < len(seen) < 200


def test_a_stream_goes_on_by_default(house: House) -> None:
    answer = Response(
        [*sse([chat_event("x" * 400)]), 0.001] * 100, headers=(("content-type", "text/event-stream"),)
    )
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "stream": True}
    exchange = house.post(someone("endless"), body=body, answer=answer)
    assert exchange.answer.text.count("data: ") == 100
    assert exchange.row["decision"] == "pass"


def test_a_call_waits_for_what_others_hold(house: House) -> None:
    tenant = someone("patient")
    slow = Response([json.dumps(DIALECTS[0].whole).encode()], chunked=False, before=[1.0])
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}

    def call(_: int) -> tuple[float, int]:
        began = time.monotonic()
        status = house.post(tenant, body=body, answer=slow).answer.status_code
        return time.monotonic() - began, status

    with ThreadPoolExecutor(2) as pool:
        took = sorted(pool.map(call, range(2)))
    assert [status for _, status in took] == [200, 200]
    assert took[0][0] < 1.8 < took[1][0], "one after the other"


def test_a_hang_up_settles_what_was_held_once(house: House) -> None:
    tenant = someone("firm")
    held, left = [], []
    for answer in (
        DIALECTS[0].json(),
        Response([b"{"], end=End.RESET),
        Response(status=None, end=End.CLOSE),
        Response([b"{}"], status=400, chunked=False),
        DIALECTS[0].json(),
    ):
        try:
            exchange = house.post(tenant, answer=answer)
        except httpx.TransportError:
            continue
        if "x-ratelimit-remaining" in exchange.answer.headers:
            held.append(float(exchange.answer.headers["x-tollgate-cost-held"]))
            left.append(float(exchange.answer.headers["x-ratelimit-remaining"]))
    house.envoy.rows_when(lambda rows: sum(row["tenant"] == tenant for row in rows) == 5, tenant)
    rows = [row for row in house.envoy.rows() if row["tenant"] == tenant]
    costs = [float(row["cost_usd"]) for row in rows]
    assert left[-1] + held[-1] == pytest.approx(1 - sum(costs[:-1]), abs=1e-9)
