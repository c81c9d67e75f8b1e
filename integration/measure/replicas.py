"""How long asks take while replicas of the service are killed, and whether a call is lost or doubled."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from ..bootstrap import LOCALHOST
from ..measured import table, tell
from ..postgres import Postgres, installed
from ..quota import SECRET, Quota
from .fleet import AMPLE, customers
from .service import row

CUSTOMERS, GATEWAYS, ROWS, WANTS = 50, 8, 20, 5
SECONDS, EVERY, AWAY = 60, 1.5, 0.6
"""For how long in all, a replica is killed so often, and started again after so many seconds."""


@dataclass
class Asker:
    """A gateway that reports calls and wants leases, of any replica, until it is answered."""

    number: int
    ports: list[int]
    window: int
    until: float
    took: list[float] = field(default_factory=list)
    """Seconds until each answer that came."""
    broken: int = 0
    """Asks that were sent again."""

    def run(self) -> None:
        """Asks, one after the other."""
        chance, seq = random.Random(self.number), 0
        while time.monotonic() < self.until:
            seq += 1
            body = json.dumps(self._ask(seq, chance))
            while not self._sent(body, chance.choice(self.ports)):
                self.broken += 1
                time.sleep(0.05)

    def _ask(self, seq: int, chance: random.Random) -> dict[str, Any]:
        def name() -> str:
            return f"customer-{chance.randrange(CUSTOMERS)}"

        rows = [row(f"{self.number}-{seq}-{at}", name(), self.window) for at in range(ROWS)]
        budgets = [f"{name()}/requests-month" for _ in range(WANTS)]
        wants = [{"budget": id_, "window": self.window, "need": 1, "want": 10} for id_ in budgets]
        ask = {"v": 1, "gateway": f"g{self.number}", "worker": 0, "seq": seq}
        return {**ask, "rows": rows, "wants": wants}

    def _sent(self, body: str, port: int) -> bool:
        began = time.monotonic()
        connection = http.client.HTTPConnection(LOCALHOST, port, timeout=30)
        headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
        try:
            connection.request("POST", "/v1/sync", body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        self.took.append(time.monotonic() - began)
        return status == 200


def replicas() -> str:
    """Measures, and returns the table."""
    if installed() is None:
        raise SystemExit("no PostgreSQL, which replicas share: `make postgres` installs it")
    plan = customers(CUSTOMERS, *AMPLE)
    options = ("--quiet",)
    with (
        Postgres() as server,
        Quota(plan, options=options, server=server) as one,
        Quota(plan, options=options, server=server) as two,
    ):
        window = one.sync(tenants=["customer-0"])["tenants"][0]["budgets"][0]["window"]["id"]
        until = time.monotonic() + SECONDS
        askers = [Asker(n, [one.port, two.port], window, until) for n in range(GATEWAYS)]
        threads = [threading.Thread(target=asker.run) for asker in askers]
        for thread in threads:
            thread.start()
        kills = _kill(one, two, until)
        for thread in threads:
            thread.join()
        (books,) = one.rows(
            "SELECT (SELECT COUNT(*) FROM ledger) AS calls, "
            "(SELECT CAST(SUM(settled) AS BIGINT) FROM balance WHERE budget LIKE '%requests%') AS settled"
        )
    took = sorted(took for asker in askers for took in asker.took)
    asked, again = len(took), sum(asker.broken for asker in askers)
    if books["calls"] != books["settled"]:
        raise SystemExit(f"the ledger and the balances differ: {books}")
    head = ["kills", "asks answered", "sent again", "p50 s", "p99 s", "longest s", "in the ledger", "settled"]
    figures = [f"{kills}", f"{asked:,}", f"{again:,}", f"{took[asked // 2]:.2f}"]
    figures += [f"{took[asked * 99 // 100]:.2f}", f"{took[-1]:.2f}"]
    figures += [f"{books['calls']:,}", f"{books['settled']:,}"]
    return f"### Killed replicas\n\n{table([head, figures])}\n"


def _kill(one: Quota, two: Quota, until: float) -> int:
    kills = 0
    for replica in cycle((one, two)):
        time.sleep(EVERY)
        if time.monotonic() > until - 3 * EVERY:
            return kills
        kills += 1
        tell(f"replicas, kill {kills}")
        replica.kill()
        time.sleep(AWAY)
        replica.start()
    return kills
