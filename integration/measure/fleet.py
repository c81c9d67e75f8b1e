"""What is measured: some Envoys with the filter, the quota service they share, an upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..bootstrap import Route, Setup
from ..envoy import total
from ..measured import Measured
from ..postgres import Postgres
from ..quota import Quota

MODEL = "gpt-4o-mini-2024-07-18"
WORKERS = 2


@dataclass
class Fleet:
    """Envoys before one quota service."""

    envoys: list[Measured]
    quota: Quota
    others: list[Quota] = field(default_factory=list)
    """Further replicas of the service, on the same database."""

    @property
    def ports(self) -> list[int]:
        """Where clients connect to."""
        return [envoy.port for envoy in self.envoys]

    def asks(self) -> int:
        """Callouts that have come to the service, whatever became of them."""
        replicas = [self.quota, *self.others]
        return int(sum(total(quota.metrics(), "tollgate_quota_syncs_total") for quota in replicas))

    def lost(self) -> int:
        """Calls that the Envoys could not keep until the service had taken them."""
        return self._counted("tollgate_rows_lost_total")

    def unleased(self) -> int:
        """Calls let through without a lease."""
        return self._counted("tollgate_unleased_total")

    def _counted(self, name: str) -> int:
        return int(sum(total(envoy.metrics(), name) for envoy in self.envoys))


@contextmanager
def fleet(
    upstream: int,
    customers: dict[str, Any],
    envoys: int = 1,
    *,
    hold: bool = False,
    replicas: int = 1,
    **service: Any,
) -> Iterator[Fleet]:
    """Starts them. `upstream` is a port; with `hold` it sees no headers before the decision. One
    replica of the service is on SQLite, more are on PostgreSQL."""
    with ExitStack() as stack:
        server = stack.enter_context(Postgres()) if replicas > 1 else None
        quotas = [
            stack.enter_context(Quota(customers, options=("--quiet",), server=server))
            for _ in range(replicas)
        ]
        plugin = {**quotas[0].plugin(**service), "hold_headers": hold}
        running = [stack.enter_context(gateway(upstream, plugin, *quotas)) for _ in range(envoys)]
        yield Fleet(running, quotas[0], quotas[1:])
        for envoy in running:
            if lost := envoy.lost_vms():
                raise SystemExit(f"a worker lost its VM: {lost}")


def gateway(upstream: int, plugin: dict[str, Any], *quotas: Quota) -> Measured:
    """An Envoy with the filter, not started yet."""
    upstreams = {"openai": upstream, "quota": [quota.port for quota in quotas]}
    return Measured(Setup(upstreams=upstreams, plugin=plugin, workers=WORKERS), log=False)


def at_once() -> Measured:
    """An upstream that answers at once: an Envoy that needs nobody for it. Not started yet.

    It needs no body either: where headers go on, a call that waits is answered while its body is held.
    So what waits or is refused is measured with `hold`.
    """
    return Measured(Setup(upstreams={}, routes=[Route("", answer=json.dumps(answer(12, 9)))]), log=False)


def answer(prompt: int, completion: int) -> dict[str, Any]:
    """An answer of OpenAI's, of so many tokens."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    common = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
    return {**common, "choices": [choice], "usage": usage}


def customers(number: int, *budgets: dict[str, Any]) -> dict[str, Any]:
    """So many customers of one plan with these budgets: `customer-0` and on."""
    plan = {"name": "Pro", "price": "49", "budgets": list(budgets)}
    people = [{"id": f"customer-{at}", "name": f"Customer {at}", "plan": "Pro"} for at in range(number)]
    return {"business": {"name": "Measured", "time_zone": "UTC"}, "plans": [plan], "customers": people}


def budget(**limit: int | str) -> dict[str, Any]:
    """A budget of a month, at whose limit calls are refused."""
    return {"limit": limit, "window": "month", "action": "refuse"}


AMPLE = (budget(requests=10**9), budget(usd="100000"))
"""Budgets that are checked and never reached."""
