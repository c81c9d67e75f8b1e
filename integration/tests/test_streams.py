"""Streams that end as they should not, and those on which other gateways count nothing."""

from __future__ import annotations

import threading
from uuid import uuid4

import httpx
import pytest

from ..upstream import End, Response, Step
from .conftest import Gateway
from .dialects import ANTHROPIC, GEMINI, OPENAI, USED, Dialect


def split_character(chunks: list[bytes]) -> list[bytes]:
    """The second half of a character in the same write as all that follows it."""
    whole = b"".join(chunks)
    at = whole.index("é".encode()) + 1
    return [whole[:at], whole[at:]]


def one_event_more(chunks: list[bytes]) -> list[bytes]:
    """Something between the usage and the end."""
    return [*chunks[:-1], b'data: {"object":"chat.completion.chunk","choices":[]}\n\n', chunks[-1]]


NEIGHBOURS = {
    "as it should be": lambda chunks: chunks,
    "all in one write": lambda chunks: [b"".join(chunks)],
    "lines that end with CRLF": lambda chunks: [chunk.replace(b"\n", b"\r\n") for chunk in chunks],
    "lines that end with CR": lambda chunks: [chunk.replace(b"\n", b"\r") for chunk in chunks],
    "no space after the colon": lambda chunks: [chunk.replace(b"data: ", b"data:") for chunk in chunks],
    "a character split, its rest in the frame of the usage": split_character,
    "one more event between the usage and the end": one_event_more,
    "the usage last, and no [DONE]": lambda chunks: chunks[:-1],
    "[DONE] without a blank line": lambda chunks: [*chunks[:-1], chunks[-1].rstrip()],
    "the usage without a blank line": lambda chunks: [*chunks[:-2], chunks[-2].rstrip()],
    "comments between the events": lambda chunks: [b": PROCESSING\n\n" + chunk for chunk in chunks],
}
"""What is done to the OpenAI stream, by what it is called."""


@pytest.mark.parametrize("how", NEIGHBOURS)
def test_no_shape_of_a_stream_hides_its_usage(gateway: Gateway, how: str) -> None:
    steps = [step for chunk in NEIGHBOURS[how](OPENAI.chunks()) for step in (chunk, 0.003)]
    seen = gateway.ask(OPENAI, stream=True, answer=OPENAI.stream(steps))
    assert seen.fields(*USED) == USED
    assert seen.answer.content == b"".join(step for step in steps if isinstance(step, bytes))


def test_usage_in_the_finish_chunk_and_again_after_it_counts_once(gateway: Gateway) -> None:
    twice = [*OPENAI.chunks()[:-2], OPENAI.chunks()[-2], *OPENAI.chunks()[-2:]]
    seen = gateway.ask(OPENAI, stream=True, answer=OPENAI.stream(twice))
    assert seen.fields(*USED) == USED


def hang_up(gateway: Gateway, dialect: Dialect, steps: list[Step], read: int) -> dict[str, str | None]:
    """A client that leaves after `read` chunks; returns the row."""
    gate = threading.Event()
    script = gateway.upstream.script(
        dialect.stream([*steps, gate, b": late\n\n", b": later\n\n"]), uuid4().hex
    )
    url = gateway.envoy.url + dialect.stream_path
    headers = {"x-replay-id": script, "x-tenant-id": "acme"}
    body = dialect.body(stream=True)
    wanted = sum(len(step) for step in steps[:read] if isinstance(step, bytes))
    with httpx.stream("POST", url, json=body, headers=headers, timeout=20) as answer:
        got = 0
        for piece in answer.iter_raw():
            got += len(piece)
            if got >= wanted:
                break
    row = gateway.envoy.row(script)
    gate.set()
    return row


def test_a_client_that_hangs_up_in_mid_stream_is_charged_an_estimate(
    either_mode: Gateway, dialect: Dialect
) -> None:
    row = hang_up(either_mode, dialect, dialect.chunks()[:3], read=3)
    assert row["flags"] == "DC"
    assert (row["tenant"], row["usage"]) == ("acme", "estimated")
    assert int(row["input_tokens"] or 0) > 0
    assert int(row["output_tokens"] or 0) > 0
    assert int(row["cost_nano_usd"] or 0) > 0


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=str)
def test_a_client_that_leaves_once_it_has_the_usage_pays_what_was_reported(
    gateway: Gateway, dialect: Dialect
) -> None:
    # The OpenAI SDK closes its connection at `[DONE]`, before the response has ended.
    row = hang_up(gateway, dialect, dialect.chunks(), read=len(dialect.chunks()))
    assert {name: row[name] for name in USED} == USED


def test_an_upstream_reset_in_mid_stream_is_charged_an_estimate(gateway: Gateway, dialect: Dialect) -> None:
    script = gateway.upstream.script(
        dialect.stream([*dialect.chunks()[:3], 0.05], end=End.RESET), uuid4().hex
    )
    with pytest.raises(httpx.HTTPError):
        gateway.client.post(
            gateway.envoy.url + dialect.stream_path,
            json=dialect.body(stream=True),
            headers={"x-replay-id": script},
        )
    row = gateway.envoy.row(script)
    assert row["usage"] == "estimated"
    assert int(row["cost_nano_usd"]) > 0


def test_an_upstream_that_resets_before_it_answers_invents_no_usage(gateway: Gateway) -> None:
    seen = gateway.ask(OPENAI, answer=Response(status=None, before=[0.05], end=End.RESET))
    assert seen.answer.status_code == 503
    assert seen.row["usage"] in ("absent", "estimated")


def test_a_client_that_gives_up_waiting_stands_in_the_log(gateway: Gateway) -> None:
    forever = threading.Event()
    script = gateway.upstream.script(Response(before=[forever]), uuid4().hex)
    with pytest.raises(httpx.ReadTimeout):
        gateway.client.post(
            gateway.envoy.url + OPENAI.path,
            json=OPENAI.body(),
            headers={"x-replay-id": script, "x-tenant-id": "acme"},
            timeout=0.5,
        )
    row = gateway.envoy.row(script)
    forever.set()
    assert row["tenant"] == "acme"
    assert row["usage"] == "estimated"


def test_a_gemini_count_that_shrinks_is_the_last_one_sent(gateway: Gateway) -> None:
    first = GEMINI.events[0].replace('"promptTokenCount":100', '"promptTokenCount":145')
    chunks = [b"data: " + event.encode() + b"\r\n\r\n" for event in [first, *GEMINI.events[1:]]]
    seen = gateway.ask(GEMINI, stream=True, answer=GEMINI.stream(chunks))
    assert seen.fields(*USED) == USED


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, GEMINI], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("cut", ["between events", "in an event"])
def test_a_stream_that_ends_cleanly_before_its_time_is_an_estimate(
    gateway: Gateway, dialect: Dialect, cut: str
) -> None:
    # Without the last events, which have the usage, or the last totals.
    chunks = dialect.chunks()[:-2]
    tail = [dialect.chunks()[-2][:40]] if cut == "in an event" else []
    seen = gateway.ask(dialect, stream=True, answer=dialect.stream([*chunks, *tail]))
    assert seen.fields("usage") == {"usage": "estimated"}
    assert int(seen.row["output_tokens"] or 0) > 0
    assert seen.answer.content == b"".join([*chunks, *tail])
