"""How often Envoys ask the quota service, once they are in their stride; and meanwhile, how old the
page's figures are, and how much of a limit can be used."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..measured import table, tell
from ..storm import request, storm
from .fleet import AMPLE, Fleet, at_once, budget, customers, fleet
from .load import Load, Run

WARM_UP = 5
SECONDS = 15
WATCHED, SMALL, LIMIT = "watched", "small", 1_000
HEAD = [
    *("customers", "calls/s", "callouts/s", "callouts per 1,000 calls", "rows lost", "unleased", "refused"),
    *("on the page after, s", "at most, s", f"of a limit of {LIMIT:,} settled"),
]


def steady() -> str:
    """Measures, and returns the table."""
    rows = [HEAD]
    with at_once() as upstream:
        for names in (1, 1_000):
            for pause_ms in (64, 0):
                rows.append(_row(upstream.port, names, pause_ms))
    return f"### Callouts\n\n{table(rows)}\n"


def _row(upstream: int, names: int, pause_ms: int) -> list[str]:
    tell(f"callouts, {names} customers")
    load = Load(names=names, pause_ms=pause_ms)
    with fleet(upstream, _customers(names), hold=True) as ours, ThreadPoolExecutor(1) as pool:
        load.run(ours.ports[0], WARM_UP)
        before, began = ours.asks(), time.monotonic()
        running = pool.submit(load.run, ours.ports[0], SECONDS)
        ages = _ages(ours, running)
        run = running.result()
        asks, seconds = ours.asks() - before, time.monotonic() - began
        counts = [f"{names:,}", f"{run.rate:,.0f}", f"{asks / seconds:,.1f}"]
        counts += [
            f"{asks * 1e3 / run.requests:.2f}",
            f"{ours.lost()}",
            f"{ours.unleased()}",
            f"{run.refused}",
        ]
        middle, oldest = sorted(ages)[len(ages) // 2], max(ages)
        return [*counts, f"{middle:.1f}", f"{oldest:.1f}", f"{_usable(ours):.1%}"]


def _customers(names: int) -> dict[str, Any]:
    file = customers(names, *AMPLE)
    file["plans"].append({"name": "Small", "price": "9", "budgets": [budget(requests=LIMIT)]})
    file["customers"] += [
        {"id": WATCHED, "name": "Watched", "plan": "Pro"},
        {"id": SMALL, "name": "Small", "plan": "Small"},
    ]
    return file


def _ages(ours: Fleet, running: Future[Run]) -> list[float]:
    """How long it takes until a call is in the reports that the page shows, again and again."""
    ages: list[float] = []
    while not running.done() or not ages:
        made = len(ages) + 1
        storm(ours.ports, [request(WATCHED)], 1)
        began = time.monotonic()
        while _booked(ours) < made:
            if time.monotonic() - began > 30:
                raise SystemExit("a call is not on the page after 30 s")
            time.sleep(0.05)
        ages.append(time.monotonic() - began)
    return ages


def _booked(ours: Fleet) -> int:
    lines = ours.quota.report("costs?by=customer&limit=10000")["lines"]
    return next((line["calls"] for line in lines if line["customer"] == WATCHED), 0)


def _usable(ours: Fleet) -> float:
    """What of the small customer's limit is settled once no call of its passes any more."""
    quiet = 0
    until = time.monotonic() + 60
    while quiet < 3 and time.monotonic() < until:
        seen = storm(ours.ports, [request(SMALL)] * 64, 16)
        quiet = 0 if seen[200] else quiet + 1
        if quiet:
            # Idle leases go back meanwhile, and "nothing left" is believed for a second.
            time.sleep(1.5)
    time.sleep(3.5)
    (balance,) = ours.quota.rows("SELECT settled FROM balance WHERE budget LIKE ?", f"{SMALL}/%")
    if balance["settled"] > LIMIT:
        raise SystemExit(f"{balance} of {LIMIT} is settled")
    return balance["settled"] / LIMIT
