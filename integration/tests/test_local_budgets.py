"""Budgets without a quota service: a real Envoy with two workers, and nothing beside it.

Each test uses tenants of its own, so that one Envoy in each mode serves them all.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..bootstrap import WASM, Setup
from ..envoy import Envoy
from ..upstream import Upstream
from .dialects import DIALECTS, Dialect
from .test_budgets import CHEAPER, House

WORDY = "{used}|{limit}|{unit}|{window}|{resets_at}|{upgrade_url}"
NUMBERS = count()


def budgets() -> list[dict[str, Any]]:
    """What the configuration says: each tenant begins with the name of what it is for."""
    each = [{"tenant": "*", "limit": {"requests": 5}, "window": "day", "action": "refuse"}]
    own = {
        "many": {"limit": {"requests": 100_000}, "action": "refuse"},
        "warned": {"limit": {"requests": 10}, "warn_at": [50]},
        "shadow": {"limit": {"requests": 2}, "action": "refuse", "shadow": True},
        "wordy": {
            "limit": {"requests": 2},
            "action": {"refuse": {"status": 402, "message": WORDY}},
            "upgrade_url": "https://example.com/up",
        },
        "cheaper": {
            "limit": {"requests": 1},
            "action": {"downgrade": {"models": CHEAPER}},
        },
    }
    named = [
        {"tenant": f"{name}-{at}", "window": "day", **budget}
        for name, budget in own.items()
        for at in range(8)
    ]
    money = [
        # In the place of the requests that each tenant has.
        {
            "tenant": "rich-0",
            "id": "requests-day",
            "limit": {"usd": "0.01"},
            "window": "month",
            "action": "refuse",
        }
    ]
    feature = {
        "tenant": "*",
        "feature": "analysis",
        "limit": {"units": 2},
        "window": "week",
        "action": "refuse",
    }
    return [*each, *named, *money, feature]


def plugin(**more: Any) -> dict[str, Any]:
    """The configuration of the filter."""
    names = {"tenant": [{"header": "x-tenant-id"}], "feature": [{"header": "x-feature"}]}
    return {**names, "strip": ["x-tenant-id"], "time_zone": "Asia/Kolkata", "budgets": budgets(), **more}


@pytest.fixture(scope="module", params=[False, True], ids=["headers-go-on", "headers-held"])
def house(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[House]:
    """An Envoy in each mode."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    setup = Setup(upstreams={"upstream": upstream.port}, plugin=plugin(hold_headers=request.param), workers=2)
    with Envoy(setup) as envoy:
        house = House(envoy, upstream)
        yield house
        house.client.close()
        assert envoy.lost_vms() == []


@pytest.fixture
def someone() -> str:
    """A tenant that the configuration does not name, and no test has used."""
    return f"someone-{next(NUMBERS)}"


def test_calls_below_the_limit_pass(house: House, dialect: Dialect, stream: bool) -> None:
    exchange = house.post("many-0", dialect, stream=stream)
    assert exchange.answer.status_code == 200
    assert exchange.fields("decision", "usage", "tenant") == {
        "decision": "pass",
        "usage": "reported",
        "tenant": "many-0",
    }


def test_at_the_limit_each_tenant_is_refused_for_itself(house: House, someone: str) -> None:
    other = f"{someone}-other"
    assert house.decisions(someone, 7) == ["pass"] * 4 + ["warn"] + ["refuse"] * 2
    refused = house.post(someone)
    assert (refused.answer.status_code, refused.request) == (429, None)
    assert refused.row["budget"] == f"requests-day/{someone}"
    zone = timedelta(hours=5, minutes=30)
    now = datetime.now(UTC) + zone
    left = 86_400 - now.hour * 3_600 - now.minute * 60 - now.second
    assert abs(int(refused.answer.headers["retry-after"]) - left) <= 2
    assert house.post(other).row["decision"] == "pass"


def test_the_sentence_is_filled(house: House, dialect: Dialect) -> None:
    tenant = f"wordy-{DIALECTS.index(dialect)}"
    exchanges = [house.post(tenant, dialect) for _ in range(3)]
    assert [exchange.answer.status_code for exchange in exchanges] == [200, 200, 402]
    message = exchanges[-1].answer.json()["error"]["message"]
    tomorrow = (datetime.now(UTC) + timedelta(hours=29, minutes=30)).date()
    assert message == f"2|2|requests|day|{tomorrow}T00:00:00+05:30|https://example.com/up"


def test_a_threshold_warns(house: House) -> None:
    assert house.decisions("warned-0", 12) == ["pass"] * 5 + ["warn"] * 7


def test_a_shadow_never_refuses(house: House) -> None:
    assert house.decisions("shadow-0", 4) == ["pass"] * 2 + ["shadow"] * 2


def test_a_downgrade_changes_the_model(house: House) -> None:
    dialect = DIALECTS[0].renamed("gpt-4o-mini")
    first, second = (house.post("cheaper-0", dialect) for _ in range(2))
    assert b'"gpt-4o-mini"' in first.request.body
    assert b'"gpt-4.1-nano"' in second.request.body
    assert second.fields("decision", "budget") == {
        "decision": "downgrade",
        "budget": "requests-day/cheaper-0",
    }
    assert second.answer.headers["x-tollgate-downgraded"] == "gpt-4o-mini -> gpt-4.1-nano"


def test_a_budget_in_dollars_ends(house: House) -> None:
    body = {**DIALECTS[0].body(), "max_tokens": 10_000}
    rows = [house.post("rich-0", body=body).row for _ in range(2)]
    assert [row["decision"] for row in rows] == ["pass", "pass"], "a call is settled at what it cost"
    body["max_tokens"] = 100_000
    refused = house.post("rich-0", body=body)
    assert (refused.answer.status_code, refused.row["budget"]) == (429, "requests-day.usd-month/rich-0")


def test_a_feature_has_a_budget_of_its_own(house: House, someone: str) -> None:
    analysis = {"headers": {"x-feature": "analysis"}}
    assert [house.post(someone, **analysis).row["decision"] for _ in range(3)][2] == "refuse"
    refused = house.post(someone, **analysis)
    assert refused.row["budget"] == f"analysis.units-week/{someone}"
    assert house.post(someone).answer.status_code == 200


def test_calls_at_once_pass_as_often_as_the_limit_says(house: House, someone: str) -> None:
    for at in range(4):
        assert house.storm([f"{someone}-{at}"] * 64, 64) == {200: 5, 429: 59}


def test_both_workers_share_what_is_left(house: House) -> None:
    assert house.storm(["warned-1"] * 64, 32) == {200: 64}
    house.envoy.rows_when(lambda rows: seen(rows, "warned-1") == 64)
    decisions = Counter(row["decision"] for row in house.envoy.rows() if row["tenant"] == "warned-1")
    # Each of the two workers may look while the other takes.
    assert 5 <= decisions["pass"] <= 6
    assert decisions["warn"] == 64 - decisions["pass"]


def seen(rows: list[Any], tenant: str) -> int:
    """How many calls of a tenant the access log has."""
    return sum(row["tenant"] == tenant for row in rows)


@pytest.mark.parametrize("hold", [False, True], ids=["headers-go-on", "headers-held"])
def test_a_reload_keeps_what_was_used(upstream: Upstream, tmp_path: Path, hold: bool) -> None:
    def setup(limit: int, **more: Any) -> Setup:
        budget = {"limit": {"requests": limit}, "window": "month", "action": "refuse", "warn_at": []}
        config = plugin(budgets=[budget], hold_headers=hold, **more)
        file = tmp_path / "listeners.json"
        return Setup(upstreams={"upstream": upstream.port}, plugin=config, workers=2, lds=file)

    with Envoy(setup(5)) as envoy:
        house = House(envoy, upstream)
        assert house.decisions("a", 3) == ["pass"] * 3
        replace(house, setup(5, access_log=["call_id", "tenant", "decision", "budget"]))
        assert house.decisions("b", 4) == ["pass"] * 2 + ["refuse"] * 2
        replace(house, setup(7))
        assert house.decisions("c", 4) == ["pass"] * 2 + ["refuse"] * 2
        house.client.close()


def replace(house: House, setup: Setup) -> None:
    """Another listener, once all workers have it. A connection would stay with the old one."""
    house.client.close()
    house.client = httpx.Client(timeout=20)
    envoy = house.envoy
    before = envoy.log().count("tollgate: configured")
    envoy.replace_listener(dataclasses.replace(setup))
    until = time.monotonic() + 20
    while envoy.log().count("tollgate: configured") < before + 3:
        assert time.monotonic() < until, envoy.log()
        time.sleep(0.05)
    time.sleep(0.5)


def test_a_new_window_begins_with_nothing_used(upstream: Upstream) -> None:
    budget = {"tenant": "*", "limit": {"requests": 3}, "window": "minute", "action": "refuse", "warn_at": []}
    setup = Setup(upstreams={"upstream": upstream.port}, plugin=plugin(budgets=[budget]), workers=2)
    with Envoy(setup) as envoy:
        house = House(envoy, upstream)
        while not 40 <= time.time() % 60 < 55:
            time.sleep(0.5)
        assert house.storm(["a"] * 10, 10) == {200: 3, 429: 7}
        refused = house.post("a")
        wait = int(refused.answer.headers["retry-after"])
        assert abs(wait - (60 - time.time() % 60)) <= 2
        time.sleep(60 - time.time() % 60 + 0.1)
        assert house.storm(["a"] * 10, 10) == {200: 3, 429: 7}
        house.client.close()
