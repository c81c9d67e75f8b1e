"""What one quota service takes: asks and customers a second, on SQLite and on PostgreSQL; and what
many customers cost it, and an Envoy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..measured import table, tell
from ..postgres import Postgres, installed
from ..quota import EARLIER, SECRET, Quota
from ..storm import request, storm
from .fleet import AMPLE, at_once, customers, gateway

CUSTOMERS = 1_000
GATEWAYS = 256
AT_ONCE = 8
SECONDS = 8
KINDS = {
    "a report: 100 calls of as many customers, 10 leases": (100, 10, 0),
    "a call that waits: one lease": (0, 1, 0),
    "a look-up of 100 customers": (0, 0, 100),
}
"""How many rows, wants and names an ask has."""


def throughput() -> Iterator[str]:
    """Measures, and returns a table for each kind of database there is."""
    rows = [["database", "ask", "asks/s", "calls booked/s", "leases/s", "customers looked up/s", "503"]]
    for name in ("SQLite", "PostgreSQL"):
        if name == "PostgreSQL" and installed() is None:
            continue
        with ExitStack() as stack:
            server = stack.enter_context(Postgres()) if name == "PostgreSQL" else None
            plan = customers(CUSTOMERS, *AMPLE)
            quota = stack.enter_context(Quota(plan, options=("--quiet",), server=server))
            window = quota.sync(tenants=["customer-0"])["tenants"][0]["budgets"][0]["window"]["id"]
            for at, (label, sizes) in enumerate(KINDS.items()):
                tell(f"throughput, {name}, {label}")
                rate, late = _rate(quota, f"{at}", sizes, window)
                figures = [f"{rate * size:,.0f}" for size in (1, *sizes)]
                rows.append([name, label, *figures, f"{late:,}"])
    yield f"### Throughput of the service\n\n{table(rows)}\n"


def _rate(quota: Quota, kind: str, sizes: tuple[int, int, int], window: int) -> tuple[float, int]:
    """Asks answered a second, and those that the service was too busy for."""
    began = time.monotonic()
    asks = _asks(kind, sizes, window, began + SECONDS)
    statuses = storm([quota.port], asks, AT_ONCE)
    if not statuses[200] or statuses.keys() - {200, 503}:
        raise SystemExit(f"the service answered {statuses}")
    return statuses[200] / (time.monotonic() - began), statuses[503]


def _asks(kind: str, sizes: tuple[int, int, int], window: int, until: float) -> Iterator[bytes]:
    """Asks of many gateways in turn, each with calls that nobody has reported."""
    rows, wants, names = sizes
    number = 0
    while time.monotonic() < until:
        of = [f"customer-{(number * 7 + at) % CUSTOMERS}" for at in range(max(sizes))]
        number += 1
        ask: dict[str, Any] = {"v": 1, "gateway": f"g{kind}-{number % GATEWAYS}", "worker": 0}
        ask["seq"] = number // GATEWAYS + 1
        ask["rows"] = [row(f"{kind}-{number}-{at}", of[at], window) for at in range(rows)]
        budgets = [f"{name}/requests-month" for name in of[:wants]]
        ask["wants"] = [{"budget": id_, "window": window, "need": 1, "want": 10} for id_ in budgets]
        ask["tenants"] = of[:names]
        body = json.dumps(ask).encode()
        head = ["POST /v1/sync HTTP/1.1", "host: quota", f"authorization: Bearer {SECRET}"]
        head += ["content-type: application/json", f"content-length: {len(body)}", "", ""]
        yield "\r\n".join(head).encode() + body


def row(id_: str, tenant: str, window: int) -> dict[str, Any]:
    """A call of a customer, which takes one request of its budget."""
    charges = [{"budget": f"{tenant}/requests-month", "window": window, "amount": 1}]
    call = {**EARLIER, "id": id_, "t": int(time.time() * 1_000), "tenant": tenant, "cost": 1_000}
    return {"call": call, "charges": charges}


def tenants(numbers: list[int]) -> Iterator[str]:
    """Measures what so many customers cost, and returns the table."""
    head = ["customers", "customers.yaml MB", "service ready after s", "service MB", "Envoy MB"]
    rows = [[*head, "Envoy KB a customer", "calls seen", "one call after the other, ms"]]
    with at_once() as upstream:
        for number in numbers:
            tell(f"{number:,} customers")
            rows.append(_tenants(upstream.port, number))
    yield f"### Many customers\n\n{table(rows)}\n"


def _tenants(upstream: int, number: int) -> list[str]:
    quota = Quota(_file(number), options=("--quiet",))
    quota.ready_in = 240.0
    began = time.monotonic()
    with quota:
        ready = time.monotonic() - began
        size = quota.config.stat().st_size / 1e6
        plugin = {**quota.plugin(timeout_ms=5_000), "hold_headers": True}
        with gateway(upstream, plugin, quota) as envoy:
            storm([envoy.port], [request("customer-0")] * 64, 64)
            before = envoy.memory()
            seen = min(number, SEEN)
            statuses = storm([envoy.port], (request(f"customer-{at}") for at in range(seen)), 64)
            if statuses != {200: seen}:
                raise SystemExit(f"of {seen} calls came {statuses}")
            after = envoy.memory()
            began, calls = time.monotonic(), 500
            storm([envoy.port], [request("customer-0")] * calls, 1)
            micros = (time.monotonic() - began) / calls * 1e6
        each = (after - before) * 1e3 / seen
        figures = [f"{number:,}", f"{size:,.1f}", f"{ready:.1f}", f"{_resident(quota):,.0f}"]
        return [*figures, f"{after:,.0f}", f"{each:.2f}", f"{seen:,}", f"{micros / 1e3:.2f}"]


def _file(number: int) -> str:
    """`customers.yaml`, written by hand: a library takes longer than what is measured."""
    head = json.dumps(customers(0, *AMPLE))[:-3]
    people = (
        json.dumps({"id": f"customer-{at}", "name": f"Customer {at}", "plan": "Pro"}) for at in range(number)
    )
    return head + "[\n" + ",\n".join(people) + "\n]}"


def _resident(quota: Quota) -> float:
    """The megabytes of the service's process."""
    status = Path(f"/proc/{quota.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e3


SEEN = 50_000
"""Customers that call, of so many or more."""
