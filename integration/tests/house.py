"""A gateway with budgets: a real Envoy, the real quota service.

Customers are made by the dozen, so that each test has one to itself: `five-3` is the fourth of the
plan `five`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ..bootstrap import Setup
from ..envoy import Envoy, Row, total
from ..quota import Quota
from ..storm import request, storm
from ..upstream import Response, Upstream
from .dialects import DIALECTS, Dialect
from .gateway import Exchange, Gateway

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
    "daily": [{**budget(requests=5), "window": "day"}],
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
        calls = (request(tenant, x_replay_id=script) for tenant in tenants)
        return storm([self.envoy.port], calls, min(at_once, len(tenants)))

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


Someone = Callable[[str], str]
"""Names the next customer of a plan, whom no test has used."""
