"""The demo's business: its plans, its customers, and what they had used before the demo began.

What is history here is told to the quota service as an earlier gateway would have told it. It ends
where the month's cost of the three customers below, with the demo's own calls, is what it should be.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from .quota import Quota
from .traffic import DOWNGRADED, NEARLY, SOLD_OUT, Call

SENTENCE = "You've used your {limit} included {unit} this {window}. Upgrade for more."

PLANS = [
    {"name": "Free", "price": 0},
    {
        "name": "Pro",
        "price": "49",
        "unit": {"name": "AI analyses"},
        "upgrade_url": "https://example.com/upgrade",
        "budgets": [
            {
                "limit": {"units": 2_000},
                "window": "month",
                "warn_at": [80, 100],
                "action": {"refuse": {"status": 429, "message": SENTENCE}},
            }
        ],
    },
    {
        "name": "Business",
        "price": "299",
        "budgets": [
            {
                "limit": {"usd": "150"},
                "window": "month",
                "action": {"downgrade": {"models": {"gpt-4.1": "gpt-4.1-mini"}}},
            }
        ],
    },
]

PEOPLE = [
    ("acme", "Acme Corp", "Pro"),
    ("megaco", "MegaCo", "Pro"),
    ("startupxy", "StartupXY", "Free"),
    ("northwind", "Northwind Traders", "Business"),
    ("globex", "Globex", "Business"),
    (SOLD_OUT, "Initech", "Pro"),
    (NEARLY, "Wonka & Sons", "Pro"),
    (DOWNGRADED, "Umbrella Health", "Business"),
]

MONTH = {"acme": 3_200_000_000, "megaco": 87_400_000_000, "startupxy": 800_000_000}
"""Nano-dollars that these cost this month, all in all."""
BEFORE = {
    "northwind": 41_300_000_000,
    "globex": 112_930_000_000,
    SOLD_OUT: 21_070_000_000,
    NEARLY: 17_650_000_000,
    DOWNGRADED: 150_000_000_000,
}
"""Nano-dollars that these had cost before the demo."""
UNITS = {SOLD_OUT: 2_000, NEARLY: 1_599, DOWNGRADED: 150_000_000_000}
"""What these had used of their budgets: AI analyses, or nano-dollars."""
MODELS = [("gpt-5", "openai", 5), ("claude-sonnet-4-5", "anthropic", 3), ("gemini-2.5-pro", "google", 2)]
FEATURES = ["analysis", "chat", "search"]
DAYS = 30


def customers(slack: str) -> dict[str, Any]:
    """`customers.yaml`, with the address that alerts go to."""
    return {
        "business": {"name": "Your SaaS", "time_zone": "UTC"},
        "plans": PLANS,
        "customers": [{"id": id_, "name": name, "plan": plan} for id_, name, plan in PEOPLE],
        "alerts": {"slack": {"url": slack}},
    }


def tell_used(quota: Quota) -> None:
    """Tells the service what customers had used of their budgets."""
    for customer, amount in UNITS.items():
        quota.use(customer, amount)


def tell_history(quota: Quota, costs: dict[str, int]) -> None:
    """Tells the service what customers had cost, when the demo's own calls cost `costs`."""
    before = {customer: whole - costs.get(customer, 0) for customer, whole in MONTH.items()}
    rows = [row for customer, cost in (before | BEFORE).items() for row in history(customer, cost)]
    quota.sync(rows=[{"call": call} for call in rows])


def history(customer: str, cost: int) -> list[dict[str, Any]]:
    """Calls of this month that cost so much together, and as many of the days before."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = [now - timedelta(days=ago) for ago in range(DAYS)]
    this_month = [day for day in days if day >= first] or [first]
    earlier = [day for day in days if day < first]
    each = cost // len(this_month)
    return spread(customer, this_month, cost) + spread(customer, earlier, each * len(earlier))


def spread(customer: str, days: list[datetime], cost: int) -> list[dict[str, Any]]:
    """One call a day and model, more on working days; the last takes what rounding leaves."""
    parts = [
        (day, model, provider, share * (3 if day.weekday() >= 5 else 6 + day.day % 3))
        for day in days
        for model, provider, share in MODELS
    ]
    whole, left, features = sum(weight for *_, weight in parts), cost, cycle(FEATURES)
    calls = []
    for at, (day, model, provider, weight) in enumerate(parts):
        nano = left if at == len(parts) - 1 else cost * weight // whole
        left -= nano
        calls.append(
            {
                "v": 1,
                "id": f"history-{customer}-{day:%m%d}-{model}",
                "t": int(day.timestamp() * 1_000),
                "ms": 900,
                "tenant": customer,
                "feature": next(features),
                "provider": provider,
                "api": API[provider],
                "model": model,
                "status": 200,
                "usage": "reported",
                "leaves": {"input": nano // 2_000, "output": nano // 20_000},
                "cost": nano,
                "prices": "v1",
                "decision": "pass",
            }
        )
    return calls


API = {"openai": "openai.chat", "anthropic": "anthropic.messages", "google": "gemini.generateContent"}


def agree(margin: dict[str, Any]) -> list[str]:
    """Where the report of margins does not have the three customers' month."""
    costs = {line["customer"]: line["cost_nano_usd"] for line in margin["lines"]}
    return [
        f"{who}: {costs.get(who)} in the report, not {cost}"
        for who, cost in MONTH.items()
        if costs.get(who) != cost
    ]


def own(calls: list[Call], truth: dict[str, int | None]) -> dict[str, int]:
    """What the demo's own calls of each customer cost."""
    costs: dict[str, int] = {}
    for call in calls:
        costs[call.customer] = costs.get(call.customer, 0) + (truth.get(call.id) or 0)
    return costs
