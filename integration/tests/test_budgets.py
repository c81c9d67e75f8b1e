"""What is decided about calls, end to end: a real Envoy, the real quota service, the official SDKs."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import anthropic
import openai
import pytest
from google import genai

from ..quota import Quota
from ..upstream import Response, Upstream
from .dialects import DIALECTS, Dialect
from .house import CHEAPER, House, Someone, opened

SOLD_OUT = "You've used your 2,000 included AI analyses this month. Upgrade for more."
DEAR = {"openai": "gpt-4o-mini", "anthropic": "claude-opus-4-5"}


# What is decided.


def test_a_customer_below_its_limit_passes(
    house: House, someone: Someone, dialect: Dialect, stream: bool
) -> None:
    exchange = house.post(someone("hundred") if stream else "hundred-15", dialect, stream=stream)
    assert exchange.answer.status_code == 200
    assert exchange.fields("decision", "usage") == {"decision": "pass", "usage": "reported"}
    assert exchange.request is not None
    assert exchange.request.header("x-tenant-id") == ""


def test_at_the_limit_calls_are_refused_and_do_not_count(house: House, someone: Someone) -> None:
    tenant = someone("five")
    assert house.decisions(tenant, 8) == ["pass"] * 5 + ["refuse"] * 3
    rows = house.agree()
    charges = house.quota.rows("SELECT amount FROM charge WHERE budget LIKE ?", f"{tenant}/%")
    assert sum(charge["amount"] for charge in charges) == 5
    assert Counter(row["decision"] for row in rows.values() if row["customer"] == tenant) == {
        "pass": 5,
        "refuse": 3,
    }


def test_the_sentence_is_filled(house: House, someone: Someone, dialect: Dialect) -> None:
    tenant = someone("wordy")
    house.quota.use(tenant, 3)
    refused = house.post(tenant, dialect)
    assert refused.request is None
    assert refused.answer.status_code == 402
    assert refused.answer.json()["error"]["message"] == "3|3|AI analyses|month|https://example.com/up|wordy"


def test_a_threshold_warns(house: House, someone: Someone) -> None:
    tenant = someone("warned")
    house.quota.use(tenant, 5)
    exchange = house.post(tenant)
    assert exchange.answer.status_code == 200
    assert exchange.fields("decision", "budget") == {"decision": "warn", "budget": f"{tenant}/requests-month"}


def test_a_shadow_never_refuses(house: House, someone: Someone) -> None:
    tenant = someone("shadow")
    assert house.decisions(tenant, 5)[-2:] == ["shadow"] * 2


def test_what_is_free_stays_free(house: House, someone: Someone) -> None:
    tenant = someone("five")
    house.quota.use(tenant, 5)
    assert house.post(tenant).answer.status_code == 429
    script = house.upstream.script(Response([b'{"data":[]}'], chunked=False))
    headers = {"x-tenant-id": tenant, "x-replay-id": script}
    assert house.client.get(house.envoy.url + "/v1/models", headers=headers).json() == {"data": []}


# What the official SDKs make of it.


def test_the_openai_sdk_raises_after_one_request(house: House, someone: Someone) -> None:
    tenant = sold_out(house, someone)
    client = openai.OpenAI(base_url=f"{house.envoy.url}/v1", api_key="key")
    messages = [{"role": "user", "content": "hello"}]
    with pytest.raises(openai.RateLimitError) as raised, one_request(house, tenant):
        client.chat.completions.create(
            model="gpt-4o-mini", messages=messages, extra_headers={"x-tenant-id": tenant}
        )
    assert raised.value.body["message"] == SOLD_OUT
    assert SOLD_OUT in str(raised.value)


def test_the_anthropic_sdk_raises_after_one_request(house: House, someone: Someone) -> None:
    tenant = sold_out(house, someone)
    client = anthropic.Anthropic(base_url=house.envoy.url, api_key="key")
    messages = [{"role": "user", "content": "hello"}]
    with pytest.raises(anthropic.RateLimitError) as raised, one_request(house, tenant):
        client.messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=messages, extra_headers={"x-tenant-id": tenant}
        )
    assert raised.value.body["error"]["message"] == SOLD_OUT
    assert SOLD_OUT in str(raised.value)


def test_the_google_sdk_raises_after_one_request(house: House, someone: Someone) -> None:
    tenant = sold_out(house, someone)
    options = {"base_url": house.envoy.url, "headers": {"x-tenant-id": tenant}}
    client = genai.Client(api_key="key", http_options=options)
    with pytest.raises(genai.errors.ClientError) as raised, one_request(house, tenant):
        client.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert (raised.value.code, raised.value.message) == (429, SOLD_OUT)


def sold_out(house: House, someone: Someone) -> str:
    """A customer that has used all it has."""
    tenant = someone("analyses")
    house.quota.use(tenant, 2_000)
    return tenant


@contextmanager
def one_request(house: House, tenant: str) -> Iterator[None]:
    """Envoy sees one request of the tenant, and the provider none of it."""
    before = len(house.upstream.requests)
    try:
        yield
    finally:
        rows = house.envoy.rows_when(lambda rows: any(row["tenant"] == tenant for row in rows), tenant)
        assert rows
        time.sleep(0.7)  # an SDK that tries again does so within half a second
        assert len([row for row in house.envoy.rows() if row["tenant"] == tenant]) == 1
        assert house.upstream.requests[before:] == []


# The cheaper model.


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("dialect", DIALECTS[:2], ids=str)
def test_a_downgrade_changes_the_model_and_nothing_else(
    house: House, someone: Someone, dialect: Dialect, chunked: bool
) -> None:
    tenant, dialect = someone("cheaper"), dialect.renamed(DEAR[dialect.name])
    house.quota.use(tenant, 10_000_000)
    asked = dialect.body(metadata={"é": "三", "model": dialect.model}, zero=1.0)
    body = json.dumps(asked, indent=3, ensure_ascii=False).encode()
    content: Any = iter([body[:40], body[40:]]) if chunked else body
    script = house.upstream.script(dialect.json(), uuid4().hex)
    headers = {"x-tenant-id": tenant, "x-replay-id": script, "content-type": "application/json"}
    answer = house.client.post(house.envoy.url + dialect.path, content=content, headers=headers)
    row = house.envoy.row(script)
    arrived = next(r for r in house.upstream.requests if r.header("x-replay-id") == script)
    cheaper = CHEAPER.get(dialect.model) or CHEAPER["claude-*"]
    assert answer.status_code == 200
    assert (row["decision"], row["budget"]) == ("downgrade", f"{tenant}/usd-month")
    assert arrived.body == body.replace(b'"%s"' % dialect.model.encode(), b'"%s"' % cheaper.encode(), 1)
    assert arrived.header("content-length") in ("", str(len(arrived.body)))
    assert cheaper in answer.headers["x-tollgate-downgraded"]


def test_a_downgrade_by_path_needs_its_headers(both: dict[bool, House], someone: Someone) -> None:
    dialect = next(d for d in DIALECTS if d.name == "gemini")
    for held, house in both.items():
        tenant = someone("cheaper")
        house.quota.use(tenant, 10_000_000)
        exchange = house.post(tenant, dialect)
        if held:
            assert exchange.request.path == dialect.path.replace(dialect.model, CHEAPER[dialect.model])
            assert exchange.answer.headers["x-tollgate-downgraded"]
        else:
            assert (exchange.answer.status_code, exchange.row["decision"]) == (429, "refuse")


# Names.


@pytest.mark.parametrize(("policy", "status"), [("allow", 200), ("refuse", 403)])
def test_strangers_are_met_by_policy(upstream: Upstream, quota: Quota, policy: str, status: int) -> None:
    with opened(upstream, quota, unknown=policy) as house:
        seen = [house.post(f"stranger-{uuid4().hex}") for _ in range(3)]
        assert [exchange.answer.status_code for exchange in seen] == [status] * 3
        assert "stranger" not in json.dumps(house.envoy.metrics())
        assert house.post("free-0").answer.status_code == 200
