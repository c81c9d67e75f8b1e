"""Budgets of some calls, of parts, of pools, and that roll along: a real Envoy, the real quota service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ..bootstrap import WASM
from ..quota import Quota
from ..upstream import Upstream
from .dialects import DIALECTS
from .house import CHEAPER, House, opened

OPENAI = DIALECTS[0]
MEMBERS = 40
NEWCOMERS = 5
DAY: dict[str, Any] = {"window": "day", "action": "refuse", "warn_at": []}


def customers() -> dict[str, Any]:
    """Forty who share one budget, and one who has all other kinds."""
    own = [
        {**DAY, "id": "other", "match": {"model": "no-such-*"}, "limit": {"requests": 0}},
        {
            **DAY,
            "id": "dear",
            "match": {"model": "gpt-4o*", "provider": "openai"},
            "limit": {"requests": 1},
            "action": {"downgrade": {"models": CHEAPER}},
        },
        {**DAY, "id": "cheap", "match": {"model": "gpt-4.1-nano"}, "limit": {"requests": 2}},
    ]
    each = [{**DAY, "id": "each", "per": ["feature"], "limit": {"requests": 2}}]
    rolling = [{"limit": {"requests": 3}, "rolling": "1m", "action": "refuse", "warn_at": []}]
    return {
        "business": {"name": "Test"},
        "plans": [
            {"name": "Pro", "price": 9},
            {"name": "New", "price": 0, "budgets": [{**DAY, "limit": {"requests": 2}}]},
        ],
        "newcomers": {"plan": "New", "at_most": NEWCOMERS},
        "pools": [
            {"name": "shared", "customers": ["member-*"], "budgets": [{**DAY, "limit": {"requests": 25}}]}
        ],
        "customers": [
            {"id": "models", "plan": "Pro", "budgets": own},
            {"id": "features", "plan": "Pro", "budgets": each},
            {"id": "rolls", "plan": "Pro", "budgets": rolling},
            *({"id": f"member-{at}", "plan": "Pro"} for at in range(MEMBERS)),
        ],
    }


@pytest.fixture(scope="module")
def house(upstream: Upstream) -> Iterator[House]:
    """An Envoy, and a service with these customers."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    with Quota(customers()) as quota, opened(upstream, quota, hold=True) as house:
        yield house


def test_a_call_that_is_moved_counts_for_the_model_that_serves_it(house: House) -> None:
    assert house.decisions("models", 4) == ["pass", "downgrade", "downgrade", "refuse"]
    house.agree()
    assert house.quota is not None
    charges = house.quota.rows("SELECT budget, amount FROM charge WHERE budget LIKE ?", "models/%")
    assert sorted((charge["budget"], charge["amount"]) for charge in charges) == [
        ("models/cheap.requests-day", 1),
        ("models/cheap.requests-day", 1),
        ("models/dear.requests-day", 1),
    ]


def test_each_feature_has_its_own(house: House) -> None:
    def decisions(feature: str) -> list[str]:
        return house.decisions("features", 3, headers={"x-feature": feature})

    assert decisions("chat") == ["pass", "pass", "refuse"]
    assert decisions("a/b") == ["pass", "pass", "refuse"]
    refused = house.post("features", headers={"x-feature": "a/b"})
    assert refused.fields("budget") == {"budget": "features/each.requests-day/feature=a%2Fb"}


def test_a_pool_is_used_up_by_all_of_its_customers_at_once(house: House) -> None:
    tenants = [f"member-{at}" for at in range(MEMBERS)] * 2
    assert house.storm(tenants, 32) == {200: 25, 429: len(tenants) - 25}
    house.agree()
    assert house.quota is not None
    query = "SELECT SUM(settled) AS used FROM balance WHERE budget = ?"
    [row] = house.quota.rows(query, "/shared/requests-day")
    assert row["used"] == 25


def test_a_rolling_limit_holds_over_its_steps(house: House) -> None:
    decisions = house.decisions("rolls", 5)
    assert decisions == ["pass"] * 3 + ["refuse"] * 2
    refused = house.post("rolls", OPENAI)
    message = refused.answer.json()["error"]["message"]
    assert message == "You've used your 3 included requests of the last minute. Upgrade for more."


def test_who_appears_is_a_customer_and_there_are_only_so_many(house: House) -> None:
    assert house.decisions("appeared", 4) == ["pass"] * 2 + ["refuse"] * 2
    for at in range(3 * NEWCOMERS):
        house.post(f"made-up-{at}")
    house.agree()
    assert house.quota is not None
    booked = house.quota.costs()
    assert "appeared" in booked
    assert sum(name.startswith("made-up-") for name in booked) == NEWCOMERS - 1
    assert booked[""] > 0, "the others are nobody's"
