"""Budgets, end to end: a real Envoy, the real quota service, the official SDKs.

Customers are made by the dozen, so that each test has one to itself: `five-3` is the fourth of the
plan `five`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest
from google import genai

from ..bootstrap import WASM, Setup
from ..envoy import Envoy, Row, total
from ..quota import Quota, QuotaFailed, binary, free_port
from ..standin import Standin
from ..upstream import Request, Response, Upstream
from .conftest import Exchange, Gateway
from .dialects import DIALECTS, Dialect

SOLD_OUT = "You've used your 2,000 included AI analyses this month. Upgrade for more."
TEMPLATE = "You've used your {limit} included {unit} this {window}. Upgrade for more."
WORDY = "{used}|{limit}|{unit}|{window}|{upgrade_url}|{plan}"
CHEAPER = {
    "gpt-4o-mini": "gpt-4.1-nano",
    "claude-*": "claude-haiku-4-5",
    "gemini-2.5-pro": "gemini-2.5-flash-lite",
    "gemini-2.5-flash": "gemini-2.5-flash-lite",
}


def budget(action: Any = "refuse", **limit: Any) -> dict[str, Any]:
    """One budget of a month."""
    return {"limit": limit, "window": "month", "action": action}


PLANS: dict[str, list[dict[str, Any]]] = {
    "free": [],
    "five": [budget(requests=5)],
    "hundred": [budget(requests=100)],
    "analyses": [budget({"refuse": {"status": 429, "message": TEMPLATE}}, units=2_000)],
    "wordy": [budget({"refuse": {"status": 402, "message": WORDY}}, units=3)],
    "warned": [{**budget(requests=10), "warn_at": [50]}],
    "shadow": [{**budget(requests=2), "shadow": True}],
    "cheaper": [budget({"downgrade": {"models": CHEAPER}}, usd="0.01")],
    "tokens": [budget(tokens=9_000)],
    "rich": [budget(usd="1000")],
}  # fmt: skip
EACH = 16
DEAR = {"openai": "gpt-4o-mini", "anthropic": "claude-opus-4-5"}


def customers(**more: Any) -> dict[str, Any]:
    """The file of customers."""
    plans = [
        {
            "name": name,
            "price": "49",
            "unit": {"name": "AI analyses"},
            "upgrade_url": "https://example.com/up",
            "budgets": budgets,
        }
        for name, budgets in PLANS.items()
    ]
    people = [
        {"id": f"{plan}-{at}", "name": plan.title(), "plan": plan} for plan in PLANS for at in range(EACH)
    ]
    business = {"name": "Test", "time_zone": "Europe/Berlin"}
    return {"business": business, "plans": plans, "customers": people, **more}


@dataclass
class House(Gateway):
    """A gateway, and the quota service that it asks."""

    quota: Quota | None = None

    def post(self, tenant: str, dialect: Dialect = DIALECTS[0], **options: Any) -> Exchange:
        """One call of a customer."""
        headers = {"x-tenant-id": tenant, **options.pop("headers", {})}
        return self.ask(dialect, headers=headers, **options)

    def decisions(self, tenant: str, number: int, **options: Any) -> list[str]:
        """What is decided about so many calls, one after the other."""
        return [self.post(tenant, **options).row["decision"] for _ in range(number)]

    def unleased(self) -> int | float:
        """Calls let through without a lease, as counted."""
        return total(self.envoy.metrics(), "tollgate_unleased_total")

    def asks(self) -> int | float:
        """Asks that the service has answered."""
        assert self.quota is not None
        return total(self.quota.metrics(), "tollgate_quota_syncs_total", result="heard")

    def storm(self, tenants: list[str], at_once: int, answer: Response | None = None) -> Counter[int]:
        """The statuses of calls of these tenants, so many of them at once."""
        script = self.upstream.script(answer or DIALECTS[0].json(), uuid4().hex)
        return Counter(asyncio.run(_storm(self.envoy.port, script, tenants, at_once)))

    def agree(self) -> dict[str, dict[str, Any]]:
        """The ledger, once every call of the access log stands in it, at the same cost."""
        assert self.quota is not None
        made = total(
            self.envoy.metrics(), "envoy_http_downstream_rq_completed", envoy_http_conn_manager_prefix="main"
        )
        self.envoy.rows_when(lambda rows: len(rows) >= made)
        rows = [row for row in self.envoy.rows() if row["call_id"]]
        logged = {row["call_id"]: cost(row) for row in rows}
        assert len(rows) == len(logged), "each call has an id of its own"
        ledger = self.quota.ledger_when(lambda ledger: logged.keys() <= ledger.keys())
        own = {id_: row["cost"] for id_, row in ledger.items() if id_ in logged}
        assert own == logged
        return ledger


async def _storm(port: int, script: str, tenants: list[str], at_once: int) -> list[int]:
    """The statuses of the answers. Bare HTTP/1.1: the client must not be what is slow."""
    dialect = DIALECTS[0]
    body = json.dumps(dialect.body()).encode()
    head = f"POST {dialect.path} HTTP/1.1\r\nhost: llm\r\nx-replay-id: {script}\r\n"
    head += f"content-length: {len(body)}\r\n"
    left = iter(tenants)
    statuses: list[int] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for tenant in left:
            writer.write(f"{head}x-tenant-id: {tenant}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode()
            fields = dict(line.split(": ", 1) for line in answer.splitlines()[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            statuses.append(int(answer.split(" ", 2)[1]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(min(at_once, len(tenants)))))
    return statuses


def cost(row: Row) -> int | None:
    """The nano-dollars of a row; nothing for what has no price."""
    return int(row["cost_nano_usd"]) if (row["cost_nano_usd"] or "").isdigit() else None


@contextmanager
def opened(
    upstream: Upstream, quota: Quota | None, *, port: int = 0, hold: bool = False, **options: Any
) -> Iterator[House]:
    """An Envoy before a quota service, or before whatever listens at `port`."""
    plugin = Quota.plugin(**{"timeout_ms": 5_000, "sync_ms": 200, **options})
    plugin["hold_headers"] = hold
    upstreams = {"upstream": upstream.port, "quota": quota.port if quota else port}
    with Envoy(Setup(upstreams=upstreams, plugin=plugin, workers=2)) as envoy:
        house = House(envoy, upstream, quota=quota)
        yield house
        house.client.close()
        assert envoy.lost_vms() == []


@pytest.fixture(scope="module")
def quota() -> Iterator[Quota]:
    """One service for most tests."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    try:
        binary()
    except QuotaFailed as failure:
        pytest.skip(str(failure))
    with Quota(customers()) as running:
        yield running


@pytest.fixture(scope="module")
def both(upstream: Upstream, quota: Quota) -> Iterator[dict[bool, House]]:
    """An Envoy in each mode."""
    with opened(upstream, quota) as one, opened(upstream, quota, hold=True) as other:
        yield {False: one, True: other}


@pytest.fixture(params=[False, True], ids=["headers-go-on", "headers-held"])
def house(request: pytest.FixtureRequest, both: dict[bool, House]) -> House:
    """Each in turn."""
    return both[request.param]


@pytest.fixture(scope="module")
def someone() -> Callable[[str], str]:
    """The next customer of a plan, whom no test has used."""
    numbers = {plan: count() for plan in PLANS}
    return lambda plan: f"{plan}-{next(numbers[plan])}"


Someone = Callable[[str], str]


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


def test_first_sight_by_many_is_one_look_up(upstream: Upstream) -> None:
    with Quota(customers()) as quota, Upstream(lambda request: overheard(quota, request)) as ear:
        with opened(upstream, None, port=ear.port, sync_ms=60_000) as house:
            began = time.monotonic()
            answers = house.storm(["hundred-0"] * 64, 64, DIALECTS[0].json(before=[0.2]))
            assert time.monotonic() - began < 3, "nobody waits for a tick"
            assert answers == {200: 64}
            assert house.unleased() == 0
        asks = [json.loads(request.body) for request in ear.requests]
        assert [name for ask in asks for name in ask.get("tenants", [])] == ["hundred-0"]
        # The others are for leases.
        assert len(asks) <= 16


def test_a_burst_of_one_customer_takes_few_asks(upstream: Upstream, quota: Quota, someone: Someone) -> None:
    with opened(upstream, quota, timeout_ms=1_000, on_failure="refuse") as house:
        before = house.asks()
        assert house.storm([someone("rich")] * 512, 512) == {200: 512}
        assert house.asks() - before <= 32
        assert house.unleased() == 0


def overheard(quota: Quota, request: Request) -> Response:
    """What the service answers to an ask that came by another way."""
    headers = {"authorization": request.header("authorization"), "content-type": "application/json"}
    url = f"http://127.0.0.1:{quota.port}{request.path}"
    answer = httpx.post(url, content=request.body, headers=headers)
    return Response([answer.content], status=answer.status_code, chunked=False)


def test_forged_names_cost_nobody_anything(upstream: Upstream, quota: Quota) -> None:
    with opened(upstream, quota) as house:
        assert house.post("free-1").answer.status_code == 200
        before = house.asks()
        answers = house.storm([f"forged-{at}" for at in range(5_000)], 64)
        assert answers == {200: 5_000}
        # One look-up at a time for each worker, for all names that wait for it.
        assert house.asks() - before < 1_500
        assert "forged" not in json.dumps(house.envoy.metrics())
        assert house.post("free-1").row["tenant"] == "free-1"
        assert house.unleased() == 0


# The service is not there.


def closed() -> Response:
    raise AssertionError("nobody listens")


FAULTS: dict[str, Callable[[], Response]] = {
    "down": closed,
    "slow": lambda: Response([b"{}"], before=[10.0]),
    "garbage": lambda: Response([b'{"v":1,"tenants":[{"name":7', b"\xff<html>"], chunked=False),
    "other-version": lambda: Response([b'{"v":9,"seq":1}'], chunked=False),
    "error": lambda: Response([b"no"], status=503, chunked=False),
    "black-hole": lambda: Response(status=None, before=[60.0]),
}


@pytest.mark.parametrize("policy", ["allow", "refuse"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_that_is_away_holds_up_nobody(upstream: Upstream, fault: str, policy: str) -> None:
    with Upstream(lambda _: FAULTS[fault]()) as broken:
        port = free_port() if fault == "down" else broken.port
        with opened(upstream, None, port=port, timeout_ms=200, on_failure=policy) as house:
            slowest = 0.0
            for at in range(4):
                began = time.monotonic()
                answer = house.post(f"someone-{at % 2}").answer
                slowest = max(slowest, time.monotonic() - began)
                assert answer.status_code == (200 if policy == "allow" else 503)
            assert slowest < 1.5
            answers = house.storm(["someone-else"] * 32, 32)
            assert set(answers) == {200 if policy == "allow" else 503}
            until = time.monotonic() + 3
            while policy == "allow" and house.unleased() < 36 and time.monotonic() < until:
                time.sleep(0.2)
            assert house.unleased() == (36 if policy == "allow" else 0)


def test_who_has_a_lease_goes_on_with_it(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota, timeout_ms=200, on_failure="refuse") as house:
        assert house.decisions("hundred-0", 2) == ["pass"] * 2
        quota.kill()
        answers = [house.post("hundred-0").answer.status_code for _ in range(2)]
        assert answers == [200] * 2


# Nothing is lost, and nothing is spent twice.


@pytest.mark.parametrize("parallel", [64, 512])
def test_two_workers_spend_no_more_than_there_is(
    upstream: Upstream, quota: Quota, someone: Someone, parallel: int
) -> None:
    with opened(upstream, quota, timeout_ms=10_000) as house:
        plan, limit = ("five", 5) if parallel == 64 else ("hundred", 100)
        tenant = someone(plan)
        answers = house.storm([tenant] * parallel, parallel, DIALECTS[0].json(before=[0.3]))
        assert answers == {200: limit, 429: parallel - limit}
        house.agree()
        (balance,) = house.quota.rows("SELECT * FROM balance WHERE budget LIKE ?", f"{tenant}/%")
        assert (balance["settled"], balance["overrun"]) == (limit, 0)


def test_a_killed_service_loses_and_doubles_nothing(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota, timeout_ms=200) as house:
        ends = threading.Event()

        def traffic() -> None:
            with httpx.Client(timeout=20) as client:
                while not ends.is_set():
                    headers = {"x-tenant-id": "free-0"}
                    body = DIALECTS[0].body(n=uuid4().hex)
                    client.post(house.envoy.url + DIALECTS[0].path, json=body, headers=headers)

        threads = [threading.Thread(target=traffic) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                time.sleep(0.5)
                quota.kill()
                time.sleep(0.3)
                quota.start()
            time.sleep(0.5)
        finally:
            ends.set()
            for thread in threads:
                thread.join()
        ledger = house.agree()
        rows = house.envoy.rows()
        assert len(rows) == len(ledger) > 20
        assert sum(row["cost"] for row in ledger.values()) == sum(cost(row) or 0 for row in rows)
        assert quota.costs()["free-0"] == sum(cost(row) or 0 for row in rows)


def test_another_envoy_knows_what_was_used(upstream: Upstream, quota: Quota, someone: Someone) -> None:
    tenant, many = someone("five"), someone("hundred")
    with opened(upstream, quota) as house:
        assert house.decisions(tenant, 4) == ["pass"] * 4
        assert house.decisions(many, 2) == ["pass"] * 2
        house.agree()
    with opened(upstream, quota) as house:
        assert house.decisions(tenant, 3).count("pass") <= 1
        assert house.decisions(many, 2) == ["pass"] * 2


def test_a_hang_up_gives_back_what_was_held(house: House, someone: Someone) -> None:
    tenant, dialect = someone("tokens"), DIALECTS[0]
    for _ in range(4):
        chunks = dialect.chunks()
        script = house.upstream.script(dialect.stream([chunks[0], chunks[1], 30.0]), uuid4().hex)
        headers = {"x-tenant-id": tenant, "x-replay-id": script}
        body = dialect.body(stream=True, max_tokens=6_000)
        with house.client.stream(
            "POST", house.envoy.url + dialect.path, json=body, headers=headers
        ) as answer:
            assert answer.status_code == 200
            next(answer.iter_bytes())
        assert house.envoy.row(script)["usage"] == "estimated"
    (balance,) = settled(house, tenant, 4)
    assert 0 < balance["settled"] < 9_000


def settled(house: House, tenant: str, calls: int) -> list[dict[str, Any]]:
    """The balances of a customer once so many calls are booked."""
    house.quota.ledger_when(lambda ledger: sum(r["customer"] == tenant for r in ledger.values()) >= calls)
    return house.quota.rows("SELECT * FROM balance WHERE budget LIKE ?", f"{tenant}/%")


def test_a_month_ends(upstream: Upstream) -> None:
    with Quota(customers(), now="2026-11-30T22:59:50Z") as quota, opened(upstream, quota) as house:
        began = time.monotonic()
        assert house.decisions("five-0", 7) == ["pass"] * 5 + ["refuse"] * 2
        assert time.monotonic() - began < 8
        time.sleep(max(0.0, began + 10.5 - time.monotonic()))
        assert house.decisions("five-0", 7) == ["pass"] * 5 + ["refuse"] * 2
        house.agree()
        windows = quota.rows("SELECT window_start, settled FROM balance WHERE budget LIKE 'five-0/%'")
        assert [window["settled"] for window in windows] == [5, 5]


# What is shown, and to whom.


def test_a_call_is_seen_within_five_seconds(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota, sync_ms=1_000) as house:
        exchange = house.post("free-0")
        began = time.monotonic()
        while quota.costs().get("free-0") != cost(exchange.row):
            assert time.monotonic() - began < 5
            time.sleep(0.1)


def test_slack_is_told_once() -> None:
    told = Response([b"ok"], chunked=False)
    with (
        Upstream(lambda _: told) as slack,
        Upstream(Standin().answer) as upstream,
        Quota(customers(alerts={"slack": {"url": f"http://127.0.0.1:{slack.port}/hook"}})) as quota,
        opened(upstream, quota) as house,
    ):
        quota.use("five-0", 3)
        house.decisions("five-0", 4)
        until = time.monotonic() + 5
        while len(slack.requests) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)
        texts = [json.loads(request.body)["text"] for request in slack.requests]
        assert len(texts) == len(set(texts)) == 2, texts


def test_no_text_and_no_key_is_kept(upstream: Upstream) -> None:
    canary = "kanarie" + uuid4().hex
    slack_answer = Response([b"ok"], chunked=False)
    with (
        Upstream(lambda _: slack_answer) as slack,
        Quota(customers(alerts={"slack": {"url": f"http://127.0.0.1:{slack.port}/hook"}})) as quota,
        opened(upstream, quota) as house,
    ):
        keys = {name: canary for name in ("authorization", "x-api-key", "x-goog-api-key", "cookie")}
        quota.use("five-1", 5)
        for dialect in DIALECTS:
            whole = json.dumps(dialect.whole)
            whole = whole.replace("the word ", canary)
            said = {
                "tools": [{"arguments": canary}],
                "metadata": {"x": canary},
                "messages": [{"role": "user", "content": canary}],
            }
            for tenant in ("free-2", "five-1", "nobody"):
                answers = [
                    Response([whole.encode()], chunked=False),
                    Response([f'{{"error":{{"message":"{canary}"}}}}'.encode()], status=400, chunked=False),
                    Response([b'{"cut":"' + canary.encode()], chunked=False),
                ]
                for answer in answers:
                    house.post(tenant, dialect, headers=keys, answer=answer, body=dialect.body(**said))
        house.agree()
        time.sleep(1)
        kept = [*house.envoy.directory.iterdir(), *quota.directory.iterdir()]
        for file in kept:
            assert canary.encode() not in file.read_bytes(), file.name
        spoken = json.dumps(
            [house.envoy.metrics(), quota.metrics(), quota.report("costs?by=customer,feature,model")]
        )
        assert canary not in spoken
        assert not [r for r in slack.requests if canary.encode() in r.body]
