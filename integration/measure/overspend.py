"""What one customer spends beyond its limit, by how many calls it has under way at once."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..measured import table, tell
from ..postgres import installed
from ..storm import ASKED, request, storm
from ..upstream import Request, Response, Upstream
from .fleet import Fleet, answer, budget, customers, fleet

INPUT, OUTPUT = 150, 600
"""Nano-dollars a token of gpt-4o-mini."""


@dataclass(frozen=True)
class Case:
    """A limit, and calls that run into it."""

    label: str
    limit: dict[str, int | str]
    parallel: int
    longest: int
    """The answers have any number of tokens up to this."""
    max_tokens: int | None
    """What the requests say; `None`: nothing, so that the filter must guess."""


def cases(envoys: int) -> list[Case]:
    """Limits that a few hundred calls use up."""
    found = []
    for parallel, calls in ((1, 100), (64, 1_000), (512, 2_000)) if envoys == 1 else ((512, 2_000),):
        found += [
            Case("requests", {"requests": calls}, parallel, 1_000, 1_000),
            Case("$, `max_tokens` given", {"usd": f"{calls * 0.0003:.2f}"}, parallel, 1_000, 1_000),
            Case("$, `max_tokens` not given", {"usd": f"{calls * 0.003:.2f}"}, parallel, 10_000, None),
        ]
    return found


@dataclass
class Model:
    """An upstream whose answers have a length that is drawn, and that take a while."""

    longest: int = 1
    rng: random.Random = field(default_factory=lambda: random.Random("tollgate"))
    answered: int = 0
    spent: int = 0
    """Nano-dollars: what the answers say, at the list price."""

    def answer(self, request: Request) -> Response:
        """The next answer."""
        prompt, completion = 12, self.rng.randint(1, self.longest)
        self.answered += 1
        self.spent += prompt * INPUT + completion * OUTPUT
        body = json.dumps(answer(prompt, completion)).encode()
        return Response([body], chunked=False, before=[self.rng.uniform(0.001, 0.03)])

    def begin(self, longest: int) -> None:
        """Counts from zero on."""
        self.longest, self.answered, self.spent = longest, 0, 0


def overspend(envoys: int) -> str:
    """Measures, and returns the table."""
    model = Model()
    rows = [HEAD]
    with Upstream(model.answer) as upstream:
        for case in cases(envoys):
            tell(f"overspend, {envoys} Envoys, {case.label}, {case.parallel} at once")
            plan = customers(1, budget(**case.limit))
            options = {"timeout_ms": 2_000, "on_failure": "refuse", "replicas": _replicas(envoys)}
            with fleet(upstream.port, plan, envoys, **options) as ours:
                model.begin(case.longest)
                rows.append(_row(case, ours, model))
            upstream.requests.clear()
    plural = "one Envoy" if envoys == 1 else f"{envoys} Envoys"
    return f"### Overspend, {plural}\n\n{table(rows)}\n"


def _replicas(envoys: int) -> int:
    """Several Envoys have two replicas of the service to ask, where there is a PostgreSQL."""
    return 2 if envoys > 1 and installed() is not None else 1


def _row(case: Case, ours: Fleet, model: Model) -> list[str]:
    statuses = _use_up(case, ours)
    sent = statuses.total()
    if statuses[200] != model.answered or set(statuses) != {200, 429}:
        raise SystemExit(f"of {model.answered} answers came {statuses}")
    ours.quota.ledger_when(lambda ledger: len(ledger) == sent)
    (balance,) = ours.quota.rows("SELECT settled FROM balance")
    in_dollars = "usd" in case.limit
    if balance["settled"] != (model.spent if in_dollars else model.answered):
        raise SystemExit(f"{balance} is settled, of {model}")
    (limit,) = case.limit.values()
    whole = round(float(limit) * 1e9) if in_dollars else int(limit)

    def amount(of: int) -> str:
        return f"${of / 1e9:.4f}" if in_dollars else f"{of:,}"

    over = max(0, balance["settled"] - whole)
    bound = case.parallel * _beyond(case) if in_dollars else 0
    cells = [case.label, str(case.parallel), amount(whole), *(f"{statuses[s]:,}" for s in (200, 429))]
    cells += [amount(balance["settled"]), f"**{amount(over)}**", amount(bound)]
    return [*cells, f"{ours.asks():,}"]


def _beyond(case: Case) -> int:
    """How much one call can take beyond what is held for it: nano-dollars."""
    held = GUESSED if case.max_tokens is None else case.max_tokens
    return max(0, case.longest - held) * OUTPUT


def _use_up(case: Case, ours: Fleet) -> Counter[int]:
    """Calls until none passes any more, in every Envoy, even a while later."""
    asked: dict[str, Any] = {k: v for k, v in ASKED.items() if k != "max_tokens"}
    if case.max_tokens is not None:
        asked["max_tokens"] = case.max_tokens
    call = request("customer-0", asked)
    statuses: Counter[int] = Counter()
    quiet = 0
    while quiet < QUIET:
        seen = storm(ours.ports, [call] * max(case.parallel, 16), case.parallel)
        statuses += seen
        quiet = 0 if seen[200] else quiet + 1
        if quiet:
            # "Nothing left" is believed for a second.
            time.sleep(1.1)
    return statuses


GUESSED = 4_096
"""The output that is expected of a request that names no maximum."""
QUIET = 2
HEAD = "limit in|at once|limit|passed|refused|settled|overspent|bound|callouts".split("|")
