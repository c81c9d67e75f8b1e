"""Budgets when something fails, or when there is much at once: nothing is lost, nothing is spent twice."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..bootstrap import Route, Setup, free_port
from ..envoy import total
from ..measured import Measured
from ..quota import Quota
from ..storm import request, storm
from ..upstream import Request, Response, Upstream
from .dialects import DIALECTS
from .house import House, Someone, cost, customers, opened


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


def overheard(quota: Quota, request: Request, after: float = 0.0) -> Response:
    """What the service answers to an ask that came by another way, so many seconds later."""
    headers = {"authorization": request.header("authorization"), "content-type": "application/json"}
    url = f"http://127.0.0.1:{quota.port}{request.path}"
    answer = httpx.post(url, content=request.body, headers=headers)
    return Response([answer.content], status=answer.status_code, chunked=False, before=[after])


def test_forged_names_cost_nobody_anything(quota: Quota) -> None:
    answer = json.dumps(DIALECTS[0].whole)
    # This provider answers without a request's body, so it must not see its headers too soon.
    plugin = {**quota.plugin(timeout_ms=5_000), "hold_headers": True}
    with Measured(Setup(upstreams={}, routes=[Route("", answer=answer)]), log=False) as provider:
        upstreams = {"upstream": provider.port, "quota": quota.port}
        with Measured(Setup(upstreams=upstreams, plugin=plugin, workers=2), log=False) as envoy:
            own = request("rich-15")

            def flood(first: int, number: int) -> None:
                calls = (request(f"forged-{at}") for at in range(first, first + number))
                assert storm([envoy.port], calls, 64) == {200: number}

            flood(0, 20_000)
            before, memory = asks(quota), envoy.memory()
            done = threading.Event()
            known: Counter[int] = Counter()

            def customer() -> None:
                while not done.is_set():
                    known.update(storm([envoy.port], [own], 1))
                    time.sleep(0.1)

            other = threading.Thread(target=customer)
            other.start()
            try:
                flood(20_000, 80_000)
            finally:
                done.set()
                other.join()
            # It has more calls than it makes, and gets each of them.
            assert known[200] == sum(known.values()) > 20
            assert envoy.memory() - memory < 16, "MB"
            # Look-ups go together, up to 256 in one ask, one ask at a time for each worker.
            assert asks(quota) - before < 80_000 / 4
            counted = envoy.metrics()
            assert "forged" not in json.dumps(counted)
            assert total(counted, "tollgate_unleased_total") == 0
            assert envoy.lost_vms() == []


def test_a_limit_holds_in_a_flood(quota: Quota) -> None:
    answer = json.dumps(DIALECTS[0].whole)
    with Measured(Setup(upstreams={}, routes=[Route("", answer=answer)]), log=False) as provider:
        upstreams = {"upstream": provider.port, "quota": quota.port}
        # This provider answers without a request's body, so it must not see its headers too soon.
        plugin = {**quota.plugin(timeout_ms=5_000), "hold_headers": True}
        with Measured(Setup(upstreams=upstreams, plugin=plugin, workers=2), log=False) as envoy:
            flood = (request(f"forged-{uuid4().hex}") for _ in range(15_000))
            other = threading.Thread(target=storm, args=([envoy.port], flood, 64))
            other.start()
            statuses: Counter[int] = Counter()
            while other.is_alive():
                statuses += storm([envoy.port], [request("five-15")], 1)
                time.sleep(0.1)
            other.join()
            assert statuses[200] == 5


def asks(quota: Quota) -> int | float:
    """Callouts that have come to the service."""
    return total(quota.metrics(), "tollgate_quota_syncs_total")


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


@pytest.mark.parametrize("hold", [False, True], ids=["headers-go-on", "headers-held"])
@pytest.mark.parametrize("policy", ["allow", "refuse"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_service_that_is_away_holds_up_nobody(
    upstream: Upstream, fault: str, policy: str, hold: bool
) -> None:
    with Upstream(lambda _: FAULTS[fault]()) as broken:
        port = free_port() if fault == "down" else broken.port
        options = {"timeout_ms": 200, "on_failure": policy, "hold": hold}
        with opened(upstream, None, port=port, **options) as house:
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


def test_an_answer_that_is_late_for_a_call_is_good_for_the_next(upstream: Upstream) -> None:
    with (
        Quota(customers()) as quota,
        Upstream(lambda ask: overheard(quota, ask, 0.8)) as slow,
        opened(upstream, None, port=slow.port, timeout_ms=200, on_failure="refuse") as house,
    ):
        assert house.post("five-0").answer.status_code == 503
        until = time.monotonic() + 10
        while house.post("five-0").answer.status_code != 200:
            assert time.monotonic() < until, "the service answers, only not in time"
            time.sleep(0.2)


def test_who_has_a_lease_goes_on_with_it(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota, timeout_ms=2_000, on_failure="refuse") as house:
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


def test_a_service_that_is_started_again_knows_what_was_used(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota) as house:
        assert house.decisions("five-0", 3) == ["pass"] * 3
        house.agree()
        quota.halt()
        quota.start()
        until = time.monotonic() + 10
        while quota.sync(tenants=["five-0"])["tenants"][0]["budgets"][0]["used"] != 3:
            assert time.monotonic() < until
        time.sleep(1.5)  # the gateway has noticed that it is back
        assert house.decisions("five-0", 4) == ["pass"] * 2 + ["refuse"] * 2
        assert house.unleased() == 0


def test_two_workers_lose_no_call(house: House, someone: Someone) -> None:
    tenant = someone("rich")
    number = 3_000
    assert house.storm([tenant] * number, 64) == {200: number}
    house.quota.ledger_when(
        lambda ledger: sum(row["customer"] == tenant for row in ledger.values()) >= number
    )
    (booked,) = house.quota.rows(
        "SELECT count(*) AS calls, sum(cost) AS cost FROM ledger WHERE customer = ?", tenant
    )
    rows = [row for row in house.envoy.rows() if row["tenant"] == tenant]
    assert len({row["call_id"] for row in rows}) == number
    assert booked == {"calls": number, "cost": sum(cost(row) or 0 for row in rows)}
    (balance,) = house.quota.rows("SELECT settled FROM balance WHERE budget LIKE ?", f"{tenant}/%")
    assert balance["settled"] == booked["cost"] == house.quota.costs()[tenant]
    assert total(house.envoy.metrics(), "tollgate_rows_lost_total") == 0


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


@pytest.mark.parametrize(
    ("plan", "now"), [("five", "2026-11-30T22:59:50Z"), ("daily", "2026-11-23T22:59:50Z")]
)
def test_a_window_ends(upstream: Upstream, plan: str, now: str) -> None:
    with Quota(customers(), now=now) as quota, opened(upstream, quota) as house:
        tenant = f"{plan}-0"
        began = time.monotonic()
        assert house.decisions(tenant, 7) == ["pass"] * 5 + ["refuse"] * 2
        assert time.monotonic() - began < 8
        time.sleep(max(0.0, began + 10.5 - time.monotonic()))
        assert house.decisions(tenant, 7) == ["pass"] * 5 + ["refuse"] * 2
        house.agree()
        windows = quota.rows("SELECT settled FROM balance WHERE budget LIKE ?", f"{tenant}/%")
        assert [window["settled"] for window in windows] == [5, 5]
