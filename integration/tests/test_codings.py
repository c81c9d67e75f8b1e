"""Requests in a coding, and answers in two: read, and passed on as they came."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from ..codings import CODINGS, coded
from ..envoy import total
from ..upstream import Response
from .conftest import PLUGIN, Gateways
from .dialects import DIALECTS, OPENAI, STREAM, USED, Dialect
from .gateway import Gateway

TWICE = [(inner, outer) for inner in CODINGS for outer in CODINGS]


@pytest.mark.parametrize(("inner", "outer"), TWICE, ids=[f"{a}-{b}" for a, b in TWICE])
def test_an_answer_in_two_codings_is_read_and_passed_on_as_it_is(
    gateway: Gateway, inner: str, outer: str
) -> None:
    packed = coded(outer, coded(inner, OPENAI.chunks()))
    answer = Response(packed, headers=(*STREAM, ("content-encoding", f"{inner}, {outer}")))
    script = gateway.upstream.script(answer, uuid4().hex)
    headers = {"x-replay-id": script, "x-tenant-id": "acme"}
    body = OPENAI.body(stream=True)
    with gateway.client.stream("POST", gateway.envoy.url + OPENAI.path, json=body, headers=headers) as seen:
        assert b"".join(seen.iter_raw()) == b"".join(packed)
    row = gateway.envoy.row(script)
    assert {name: row[name] for name in USED} == USED


def test_an_answer_in_three_codings_is_estimated_and_counted(gateway: Gateway) -> None:
    packed = b"".join(coded("gzip", coded("gzip", coded("gzip", [OPENAI.json().body()]))))
    answer = Response([packed], headers=(*STREAM, ("content-encoding", "gzip, gzip, gzip")))
    before = unread(gateway, "encoding")
    seen = gateway.ask(OPENAI, stream=True, answer=answer)
    assert (seen.answer.content, seen.row["usage"]) == (OPENAI.json().body(), "estimated")
    assert unread(gateway, "encoding") == before + 1


@pytest.mark.parametrize("coding", CODINGS)
def test_a_request_in_a_coding_is_read_and_reaches_the_upstream_as_it_came(
    gateways: Gateways, coding: str
) -> None:
    users = {**PLUGIN, "user": [{"body": "/user"}]}
    for held in [False, True]:
        gateway = gateways({**users, "hold_headers": held})
        # A stream whose usage is not asked for, because that would change the body.
        asked = {**OPENAI.body(), "stream": True, "user": "u7"}
        packed = b"".join(coded(coding, [json.dumps(asked).encode()]))
        headers = {"content-encoding": coding, "host": "api.openai.com", "x-tenant-id": "acme"}
        seen = gateway.call(OPENAI.path, packed, OPENAI.stream(), headers=headers)
        assert seen.request is not None
        assert (seen.request.body, seen.request.header("content-encoding")) == (packed, coding)
        assert seen.request.header("content-length") == str(len(packed))
        assert seen.answer.content == OPENAI.stream().body()
        expected = {**USED, "request_model": OPENAI.model, "user": "u7", "stream": "true"}
        assert seen.fields(*expected) == expected


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_a_budget_decides_by_what_stands_in_a_coded_request(gateways: Gateways, dialect: Dialect) -> None:
    budget = {"limit": {"tokens": 2_000}, "window": "day", "action": "refuse"}
    lowers = {**budget, "id": uuid4().hex, "hold": "worst_case", "too_large": "lower"}
    firm = {"budgets": [lowers], "hold_headers": True}
    gateway = gateways({"tenant": PLUGIN["tenant"], **firm})

    def ask(most: int) -> tuple[int, bool, str]:
        sizes = {"max_tokens": most, "generationConfig": {"maxOutputTokens": most}}
        key = "generationConfig" if dialect.name == "gemini" else "max_tokens"
        plain = json.dumps(dialect.body(**{key: sizes[key]})).encode()
        packed = b"".join(coded("gzip", [plain]))
        headers = {"content-encoding": "gzip", "x-tenant-id": "acme"}
        seen = gateway.call(dialect.path, packed, dialect.json(), headers=headers)
        untouched = seen.request is not None and seen.request.body == packed
        return seen.answer.status_code, untouched, seen.row["hold"]

    assert ask(300) == (200, True, "firm")
    status, reached, _ = ask(5_000)
    assert (status, reached) == (429, False)


def test_a_request_whose_coding_is_a_lie_passes_and_is_counted(gateway: Gateway) -> None:
    before = unread(gateway, "request")
    plain = json.dumps(OPENAI.body()).encode()
    seen = gateway.call(OPENAI.path, plain, OPENAI.json(), headers={"content-encoding": "gzip"})
    assert seen.fields(*USED) == USED
    assert seen.request is not None
    assert seen.request.body == plain
    assert unread(gateway, "request") == before + 1


@pytest.mark.parametrize("coding", CODINGS)
def test_a_request_that_expands_beyond_all_measure_is_refused_and_not_unpacked(
    gateways: Gateways, coding: str
) -> None:
    gateway = gateways({**PLUGIN, "anonymous": "refuse", "tenant": [{"body": "/user"}], "hold_headers": True})
    bomb = b"".join(coded(coding, [b'{"text": "' + b"a" * 200_000_000]))
    seen = gateway.call(OPENAI.path, bomb, OPENAI.json(), headers={"content-encoding": coding})
    assert (seen.answer.status_code, seen.request) in [(413, None), (401, None)]


def unread(gateway: Gateway, reason: str) -> int | float:
    """Calls of which something could not be read for this reason, as counted."""
    return total(gateway.envoy.metrics(), "tollgate_parse_failures_total", reason=reason)
