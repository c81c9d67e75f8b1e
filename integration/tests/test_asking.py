"""Usage that the client did not ask for: asked for upstream, counted, and kept from the client."""

from __future__ import annotations

import json
from uuid import uuid4

import httpx
import openai
import pytest

from ..upstream import Response
from .conftest import Gateway, Gateways
from .dialects import OPENAI, STREAM, USED

OPTION = b',"stream_options":{"include_usage":true}'
PLAIN = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "} n\xc3\xa9"}], "stream": true }'
ASKING = PLAIN[:-1] + OPTION + b"}"


@pytest.fixture(params=[False, True], ids=["headers-go-on", "headers-held"])
def asking(request: pytest.FixtureRequest, gateways: Gateways) -> Gateway:
    """Both ways in which Envoy can be configured."""
    return gateways({"tenant": [{"header": "x-tenant-id"}], "hold_headers": request.param})


def stripped(chunks: list[bytes]) -> bytes:
    """The stream without its usage chunk, which is the last but `[DONE]`."""
    return b"".join([*chunks[:-2], chunks[-1]])


@pytest.mark.parametrize("size", [1, 3, 100, 100_000])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_client_that_did_not_ask_gets_all_but_the_usage(asking: Gateway, size: int, newline: str) -> None:
    chunks = [chunk.replace(b"\n", newline.encode()) for chunk in OPENAI.chunks()]
    whole = b"".join(chunks)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    seen = asking.ask(OPENAI, stream=True, body=PLAIN, answer=OPENAI.stream(parts))
    assert seen.answer.content == stripped(chunks)
    assert seen.fields(*USED) == USED
    assert seen.request is not None
    assert seen.request.body == ASKING
    assert seen.request.header("content-length") in ("", str(len(ASKING)))


def test_a_client_that_asked_gets_what_was_sent(asking: Gateway) -> None:
    seen = asking.ask(OPENAI, stream=True, body=ASKING)
    assert seen.answer.content == b"".join(OPENAI.chunks())
    assert seen.fields(*USED) == USED
    assert seen.request is not None
    assert seen.request.body == ASKING


def test_a_body_in_many_parts_is_the_same_but_for_the_option(asking: Gateway) -> None:
    body = {"messages": [{"content": "}" * 300_000}], "stream": True}
    text = json.dumps(body).encode()
    parts = (text[at : at + 7_001] for at in range(0, len(text), 7_001))
    script = asking.upstream.script(OPENAI.stream(), uuid4().hex)
    headers = {"x-replay-id": script, "content-type": "application/json"}
    answer = asking.client.post(asking.envoy.url + OPENAI.path, content=parts, headers=headers)
    assert answer.content == stripped(OPENAI.chunks())
    [request] = [r for r in asking.upstream.requests if r.header("x-replay-id") == script]
    assert request.body == text[:-1] + OPTION + b"}"


def test_an_answer_with_its_length_loses_it(asking: Gateway) -> None:
    answer = Response([b"".join(OPENAI.chunks())], headers=STREAM, chunked=False)
    seen = asking.ask(OPENAI, stream=True, body=PLAIN, answer=answer)
    assert seen.answer.content == stripped(OPENAI.chunks())


def test_over_http2_it_is_the_same(asking: Gateway) -> None:
    with httpx.Client(http1=False, http2=True, timeout=20) as client:
        seen = asking.ask(OPENAI, stream=True, body=PLAIN, client=client)
    assert seen.answer.http_version == "HTTP/2"
    assert seen.answer.content == stripped(OPENAI.chunks())
    assert seen.fields(*USED) == USED


@pytest.mark.parametrize("asks", [False, True], ids=["did-not-ask", "asked"])
def test_the_sdk_sees_usage_only_if_it_asked(asking: Gateway, asks: bool) -> None:
    client = openai.OpenAI(base_url=f"{asking.envoy.url}/v1", api_key="any", max_retries=0)
    script = asking.upstream.script(OPENAI.stream(), uuid4().hex)
    options = {"stream_options": {"include_usage": True}} if asks else {}
    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        extra_headers={"x-replay-id": script},
        **options,
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).startswith("né, ")
    assert [c.usage.total_tokens for c in chunks if not c.choices] == ([125] if asks else [])
    assert asking.envoy.row(script)["usage"] == "reported"


def test_where_the_operator_says_no_nothing_is_changed(gateways: Gateways) -> None:
    gateway = gateways({"include_usage": False})
    seen = gateway.ask(OPENAI, stream=True, body=PLAIN)
    assert seen.answer.content == b"".join(OPENAI.chunks())
    assert seen.request is not None
    assert seen.request.body == PLAIN
