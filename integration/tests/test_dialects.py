"""Each dialect, as JSON and as a stream, in both of Envoy's modes, is read and passed on unchanged."""

from __future__ import annotations

import json
import random
import threading
from itertools import pairwise
from uuid import uuid4

import httpx
import pytest

from ..codings import CODINGS, coded
from ..upstream import Response
from .conftest import Gateway, Gateways
from .dialects import ANTHROPIC, GEMINI, OPENAI, STREAM, USED, Dialect


def test_a_call_is_read_priced_and_named(either_mode: Gateway, dialect: Dialect, stream: bool) -> None:
    seen = either_mode.ask(dialect, stream=stream, headers={"x-tenant-id": "acme", "x-feature": "chat"})
    assert seen.fields(*USED) == USED
    assert seen.fields("tenant", "feature", "provider", "decision", "stream") == {
        "tenant": "acme",
        "feature": "chat",
        "provider": dialect.provider,
        "decision": "pass",
        "stream": "true" if stream else "false",
    }
    assert seen.row["api"] == (dialect.stream_api if stream else dialect.api)
    assert seen.row["request_model"] == dialect.model
    assert seen.row["model"] in (dialect.model, dialect.answered)
    assert int(seen.row["cost_nano_usd"]) == EXPECTED_COST[dialect.name]
    assert seen.row["call_id"]
    assert seen.row["price_version"]


def test_the_client_gets_the_bytes_that_the_provider_sent(
    either_mode: Gateway, dialect: Dialect, stream: bool
) -> None:
    answer = dialect.stream() if stream else dialect.json()
    seen = either_mode.ask(dialect, stream=stream, answer=answer)
    assert seen.answer.content == answer.body()
    assert seen.answer.headers["content-type"] == dict(answer.headers)["content-type"]


def test_the_provider_gets_the_bytes_that_the_client_sent(either_mode: Gateway, dialect: Dialect) -> None:
    body = json.dumps(dialect.body(note="né " * 9_000), indent=3).encode()
    seen = either_mode.ask(dialect, body=body, headers={"content-type": "application/json"})
    assert seen.request is not None
    assert seen.request.body == body


def test_an_event_reaches_the_client_before_the_next_one_is_sent(
    either_mode: Gateway, dialect: Dialect
) -> None:
    chunks = dialect.chunks()
    gates = [threading.Event() for _ in chunks]
    steps = [step for pair in zip(chunks, gates, strict=True) for step in pair]
    script = either_mode.upstream.script(dialect.stream(steps))
    url = either_mode.envoy.url + dialect.stream_path
    headers = {"x-replay-id": script}
    body = dialect.body(stream=True)
    with either_mode.client.stream("POST", url, json=body, headers=headers) as answer:
        arriving = answer.iter_raw()
        for chunk, gate in zip(chunks, gates, strict=True):
            got = b""
            while len(got) < len(chunk):
                got += next(arriving)
            assert got == chunk
            gate.set()


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_answer_is_read_and_passed_on_as_it_is(
    gateway: Gateway, dialect: Dialect, stream: bool, coding: str
) -> None:
    kind = STREAM if stream else (("content-type", "application/json"),)
    chunks = dialect.chunks() if stream else [dialect.json().body()]
    packed = b"".join(coded(coding, chunks))
    dice = random.Random(f"{dialect.name} {coding}")
    cuts = [0, *sorted(dice.sample(range(1, len(packed)), 12)), len(packed)]
    steps = [step for start, end in pairwise(cuts) for step in (packed[start:end], 0.002)]
    answer = Response(steps, headers=(*kind, ("content-encoding", coding)))
    script = gateway.upstream.script(answer, uuid4().hex)
    url = gateway.envoy.url + (dialect.stream_path if stream else dialect.path)
    with httpx.stream("POST", url, json=dialect.body(stream=stream), headers={"x-replay-id": script}) as seen:
        assert seen.headers["content-encoding"] == coding
        assert b"".join(seen.iter_raw()) == packed
    row = gateway.envoy.row(script)
    assert {name: row[name] for name in USED} == USED


@pytest.mark.parametrize("coding", CODINGS)
def test_an_event_in_a_coding_reaches_the_client_before_the_next_one_is_sent(
    gateway: Gateway, coding: str
) -> None:
    chunks = coded(coding, OPENAI.chunks())
    gates = [threading.Event() for _ in chunks]
    steps = [step for pair in zip(chunks, gates, strict=True) for step in pair]
    answer = Response(steps, headers=(*STREAM, ("content-encoding", coding)))
    script = gateway.upstream.script(answer, uuid4().hex)
    url, headers = gateway.envoy.url + OPENAI.stream_path, {"x-replay-id": script}
    with httpx.stream("POST", url, json=OPENAI.body(stream=True), headers=headers) as seen:
        arriving = seen.iter_raw()
        for chunk, gate in zip(chunks, gates, strict=True):
            got = b""
            while len(got) < len(chunk):
                got += next(arriving)
            assert got == chunk
            gate.set()
    row = gateway.envoy.row(script)
    assert {name: row[name] for name in USED} == USED


def test_a_gemini_stream_without_sse_is_a_json_array_and_is_read(gateway: Gateway) -> None:
    parts = [event.encode() for event in GEMINI.events]
    steps = [b"[" + parts[0], *(step for part in parts[1:] for step in (b"\n,\r\n" + part, 0.002)), b"\n]\n"]
    path = GEMINI.stream_path.removesuffix("?alt=sse")
    seen = gateway.call(path, GEMINI.body(), Response(steps))
    assert seen.fields(*USED) == USED
    assert seen.row["api"] == "gemini.streamGenerateContent"


def test_the_stream_may_be_cut_anywhere(gateway: Gateway, dialect: Dialect) -> None:
    whole = b"".join(dialect.chunks())
    steps = [step for at in range(len(whole)) for step in (whole[at : at + 1], 0.0002)]
    seen = gateway.ask(dialect, stream=True, answer=dialect.stream(steps))
    assert seen.fields(*USED) == USED
    assert seen.answer.content == whole


def test_a_very_long_answer_is_read_without_being_held_back(gateway: Gateway) -> None:
    message = {"role": "assistant", "content": "so much to say " * 250_000}
    long = {**OPENAI.whole, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    usage = long.pop("usage")
    answer = Response([json.dumps({**long, "usage": usage}).encode()])
    seen = gateway.ask(OPENAI, answer=answer)
    assert seen.answer.status_code == 200
    assert seen.fields(*USED) == USED


def test_http2_on_both_sides_is_read_as_well(gateways: Gateways, dialect: Dialect, stream: bool) -> None:
    between = gateways.without_filter().envoy.port
    over_http2 = gateways(upstreams={"between": between}, upstream_http2=True)
    with httpx.Client(http1=False, http2=True, timeout=20) as client:
        seen = over_http2.ask(dialect, stream=stream, client=client)
    assert seen.answer.http_version == "HTTP/2"
    assert seen.fields(*USED) == USED


@pytest.mark.parametrize("path", ["/v1/models", "/v1/messages/batches", "/healthz", "/"])
def test_a_path_that_is_not_a_call_passes_untouched(gateway: Gateway, path: str) -> None:
    answer = Response([b'{"input_tokens": 12, "usage": {"prompt_tokens": 7}}'], chunked=False)
    seen = gateway.call(path, {"model": "gpt-4o"}, answer, headers={"x-tenant-id": "acme"})
    assert seen.answer.content == answer.body()
    assert seen.row["decision"] in (None, "skip")
    assert seen.row["usage"] in (None, "absent")
    assert seen.fields("input_tokens", "output_tokens", "cost_nano_usd") == {
        "input_tokens": None,
        "output_tokens": None,
        "cost_nano_usd": None,
    }


def test_a_model_without_a_price_is_unpriced_and_never_free(gateway: Gateway) -> None:
    seen = gateway.ask(OPENAI.renamed("no-such-model-7b"))
    assert seen.row["cost_nano_usd"] == "unpriced"
    assert seen.fields(*USED) == USED


def test_a_provider_error_costs_nothing_and_invents_no_usage(gateway: Gateway, dialect: Dialect) -> None:
    error = Response([b'{"error": {"message": "slow down", "type": "rate_limit"}}'], status=429)
    seen = gateway.ask(dialect, answer=error)
    assert seen.answer.content == error.body()
    assert seen.row["usage"] == "absent"
    assert seen.row["cost_nano_usd"] in (None, "0")
    assert seen.row["input_tokens"] is None


def test_an_openai_stream_without_usage_is_estimated(gateway: Gateway) -> None:
    events = [chunk for chunk in OPENAI.chunks() if b'"choices":[]' not in chunk]
    body = OPENAI.body(stream=True, stream_options=None)
    seen = gateway.ask(OPENAI, stream=True, body=body, answer=OPENAI.stream(events))
    assert seen.row["usage"] == "estimated"
    assert int(seen.row["input_tokens"]) > 0
    assert int(seen.row["output_tokens"]) > 0
    assert int(seen.row["cost_nano_usd"]) > 0


def test_an_answer_that_is_not_json_is_passed_on_and_no_usage_is_invented(gateway: Gateway) -> None:
    answer = Response([b"<html>", b"\xff\xfe\x00", b"</html>"], headers=[("content-type", "text/html")])
    seen = gateway.ask(OPENAI, answer=answer)
    assert seen.answer.content == answer.body()
    assert seen.row["usage"] in ("absent", "estimated")


def test_anthropic_gateways_that_send_zeros_first_are_read_to_the_end(gateway: Gateway) -> None:
    start = json.loads(ANTHROPIC.events[0])
    start["message"]["usage"] = {"input_tokens": 0, "output_tokens": 0}
    final = {"input_tokens": 60, "cache_read_input_tokens": 40, "output_tokens": 25}
    final["output_tokens_details"] = {"thinking_tokens": 5}
    delta = {"type": "message_delta", "delta": {}, "usage": final}
    events = [json.dumps(start), *ANTHROPIC.events[1:-2], json.dumps(delta), ANTHROPIC.events[-1]]
    chunks = [b"data: " + event.encode() + b"\n\n" for event in events]
    seen = gateway.ask(ANTHROPIC, stream=True, answer=ANTHROPIC.stream(chunks))
    assert seen.fields(*USED) == USED


EXPECTED_COST = {
    # 60 uncached, 40 cached and 25 of output, at the providers' dollars for a million tokens.
    "openai": 60 * 150 + 40 * 75 + 25 * 600,
    "anthropic": 60 * 1_000 + 40 * 100 + 25 * 5_000,
    "gemini": 60 * 300 + 40 * 30 + 25 * 2_500,
}
