"""Budgets of units that count once, however many calls they take: real Envoys, with and without the
quota service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from ..bootstrap import WASM, Setup
from ..envoy import Envoy
from ..quota import Quota
from ..storm import request, storm
from ..upstream import Upstream
from .dialects import DIALECTS
from .house import House, opened

LIMIT, CALLS = 10, 12
SOURCES: dict[str, Any] = {"unit": [{"header": "x-analysis-id"}, {"body": "/metadata/analysis"}]}
BUDGET: dict[str, Any] = {"limit": {"units": LIMIT}, "window": "month", "action": "refuse", "warn_at": []}


@pytest.fixture(scope="module", params=["alone", "service"])
def houses(request: pytest.FixtureRequest, upstream: Upstream) -> Iterator[list[House]]:
    """One Envoy without a service, or two before one."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    with ExitStack() as stack:
        if request.param == "alone":
            tenant = [{"header": "x-tenant-id"}]
            plugin = {"tenant": tenant, "budgets": [{"tenant": "*", **BUDGET}], **SOURCES}
            setup = Setup(upstreams={"upstream": upstream.port}, plugin=plugin, workers=2)
            house = House(stack.enter_context(Envoy(setup)), upstream)
            stack.callback(house.client.close)
            yield [house]
            assert house.envoy.lost_vms() == []
        else:
            quota = stack.enter_context(Quota(customers()))
            yield [stack.enter_context(opened(upstream, quota, **SOURCES)) for _ in range(2)]


def customers() -> dict[str, Any]:
    """Some who may have ten analyses a month."""
    plan = {"name": "Pro", "price": 9, "unit": {"name": "AI analyses"}, "budgets": [BUDGET]}
    people = [{"id": f"units-{at}", "plan": "Pro"} for at in range(4)]
    return {"business": {"name": "Test"}, "plans": [plan], "customers": people}


def used(houses: list[House], tenant: str) -> int | None:
    """What the service has settled, once every call is in its ledger; nothing without one."""
    if houses[0].quota is None:
        return None
    for house in houses:
        house.agree()
    [row] = houses[0].quota.rows("SELECT settled, overrun FROM balance WHERE budget LIKE ?", f"{tenant}/%")
    assert row["overrun"] == 0
    return int(row["settled"])


def test_each_counts_once_however_many_calls_are_made_at_once(houses: list[House]) -> None:
    for house in houses:
        script = house.upstream.script(DIALECTS[0].json(), uuid4().hex)
        calls = [
            request("units-0", x_replay_id=script, x_analysis_id=f"analysis-{unit}")
            for unit in range(LIMIT)
            for _ in range(CALLS)
        ]
        assert storm([house.envoy.port], calls, 16) == {200: len(calls)}
        assert used(houses, "units-0") in (None, LIMIT)
    for house in houses:
        old = [house.post("units-0", headers={"x-analysis-id": f"analysis-{at}"}) for at in range(LIMIT)]
        assert {exchange.answer.status_code for exchange in old} == {200}
        new = house.post("units-0", headers={"x-analysis-id": "one-more"})
        assert (new.answer.status_code, new.row["decision"]) == (429, "refuse")
    assert used(houses, "units-0") in (None, LIMIT)


def test_one_that_failed_counts_when_it_succeeds(houses: list[House]) -> None:
    failing = DIALECTS[0].json(status=500)
    for at in range(2 * LIMIT):
        houses[0].post("units-1", answer=failing, headers={"x-analysis-id": f"lost-{at}"})
    good = [houses[0].post("units-1", headers={"x-analysis-id": f"good-{at}"}) for at in range(LIMIT + 1)]
    assert [exchange.answer.status_code for exchange in good] == [200] * LIMIT + [429]
    assert used(houses, "units-1") in (None, LIMIT)


def test_its_id_may_stand_in_the_body_and_a_call_without_one_counts_by_itself(houses: list[House]) -> None:
    for unit in ("a", "a", "b", None, None):
        body = {**DIALECTS[0].body(), "metadata": {"analysis": unit}}
        exchange = houses[0].post("units-2", body=body)
        assert exchange.answer.status_code == 200
    assert used(houses, "units-2") in (None, 4)
