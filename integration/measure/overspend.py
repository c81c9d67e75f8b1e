"""What one customer, or a thousand that share a limit, spend beyond it, by how many calls are under way at
once."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from ..measured import table, tell
from ..postgres import installed
from ..storm import ASKED, request, storm
from ..upstream import Request, Response, Upstream
from .fleet import Fleet, answer, budget, customers, fleet

INPUT, OUTPUT = 150, 600
"""Nano-dollars a token of gpt-4o-mini."""
WINDOW = 128_000
"""The most tokens that it takes."""
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/picture.png"}}


@dataclass(frozen=True)
class Case:
    """A limit, and calls that run into it."""

    label: str
    limit: dict[str, int | str]
    parallel: int
    longest: int
    """The answers have any number of tokens up to this, and this one in every second call."""
    max_tokens: int | None = None
    """What the requests say; `None`: nothing, so that the filter must guess."""
    firm: bool = False
    """Whether calls hold the most that they can come to."""
    refers: bool = False
    """Whether the requests refer to a picture that they do not carry, of any size that the model takes."""
    customers: int = 1
    """How many share the limit."""

    @property
    def hold(self) -> str:
        """What the calls hold."""
        return "firm" if self.firm or "requests" in self.limit else "soft"

    def file(self) -> dict[str, Any]:
        """The customers."""
        limit = {**budget(**self.limit), **({"hold": "worst_case"} if self.firm else {})}
        if self.customers == 1:
            return customers(1, limit)
        pool = {"name": "all", "customers": ["customer-*"], "budgets": [limit]}
        return {**customers(self.customers), "pools": [pool]}

    def asked(self) -> dict[str, Any]:
        """The request."""
        asked: dict[str, Any] = {k: v for k, v in ASKED.items() if k != "max_tokens"}
        if self.max_tokens is not None:
            asked["max_tokens"] = self.max_tokens
        if self.refers:
            asked["messages"] = [{"role": "user", "content": [PICTURE]}]
        return asked

    def beyond(self) -> int:
        """How much one call can take beyond what is held for it, in the unit of the limit."""
        if self.hold == "firm":
            return 0
        held = GUESSED if self.max_tokens is None else self.max_tokens
        return max(0, self.longest - held) * (OUTPUT if "usd" in self.limit else 1)


def cases(envoys: int) -> list[Case]:
    """Limits that a few hundred calls use up."""
    found = []
    for parallel, calls in ((1, 100), (64, 1_000), (512, 2_000)) if envoys == 1 else ((512, 2_000),):
        money = {"usd": f"{calls * 0.0003:.2f}"}
        found += [
            Case("requests", {"requests": calls}, parallel, 1_000, 1_000),
            Case("$", money, parallel, 1_000, 1_000, firm=True),
            Case("tokens", {"tokens": calls * 500}, parallel, 1_000, 1_000, firm=True),
            Case("$, content elsewhere", {"usd": f"{calls * 0.01:.2f}"}, parallel, 100, 100, True, True),
            Case("$, `max_tokens` given", money, parallel, 1_000, 1_000),
            Case("$, `max_tokens` not given", {"usd": f"{calls * 0.003:.2f}"}, parallel, 10_000),
        ]
    if envoys > 1:
        found.append(
            Case("$, a pool of 1,000", {"usd": "1.20"}, 512, 1_000, 1_000, firm=True, customers=1_000)
        )
    return found


@dataclass
class Model:
    """An upstream whose answers have a length that is drawn, and that take a while."""

    case: Case | None = None
    rng: random.Random = field(default_factory=lambda: random.Random("tollgate"))
    answered: int = 0
    spent: dict[str, int] = field(default_factory=dict)
    """By the unit of a limit: what the answers say, in nano-dollars at the list price."""

    def answer(self, _: Request) -> Response:
        """The next answer."""
        assert self.case is not None
        prompt = self._drawn(WINDOW) if self.case.refers else 12
        completion = self._drawn(self.case.longest)
        self.answered += 1
        self.spent["usd"] += prompt * INPUT + completion * OUTPUT
        self.spent["tokens"] += prompt + completion
        self.spent["requests"] += 1
        body = json.dumps(answer(prompt, completion)).encode()
        return Response([body], chunked=False, before=[self.rng.uniform(0.001, 0.03)])

    def _drawn(self, most: int) -> int:
        return most if self.rng.random() < 0.5 else self.rng.randint(1, most)

    def begin(self, case: Case) -> None:
        """Counts from zero on."""
        self.case, self.answered, self.spent = case, 0, {"usd": 0, "tokens": 0, "requests": 0}


def overspend(envoys: int) -> str:
    """Measures, and returns the table."""
    model = Model()
    rows = [HEAD]
    with Upstream(model.answer) as upstream:
        for case in cases(envoys):
            tell(f"overspend, {envoys} Envoys, {case.label}, {case.hold}, {case.parallel} at once")
            options = {"timeout_ms": 2_000, "on_failure": "refuse", "replicas": _replicas(envoys)}
            # A firm call must be kept from being sent again, which takes its headers.
            with fleet(upstream.port, case.file(), envoys, hold=case.firm, **options) as ours:
                model.begin(case)
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
    ((unit, limit),) = case.limit.items()
    if balance["settled"] != model.spent[unit]:
        raise SystemExit(f"{balance} is settled, of {model}")
    whole = round(float(limit) * 1e9) if unit == "usd" else int(limit)

    def amount(of: int) -> str:
        return f"${of / 1e9:.4f}" if unit == "usd" else f"{of:,}"

    over = max(0, balance["settled"] - whole)
    bound = case.parallel * case.beyond()
    if over > bound:
        raise SystemExit(f"{case} was overspent by {amount(over)}, of at most {amount(bound)}")
    cells = [case.label, case.hold, str(case.parallel), amount(whole)]
    cells += [f"{statuses[s]:,}" for s in (200, 429)]
    cells += [amount(balance["settled"]), f"{balance['settled'] / whole:.1%}"]
    cells += [f"**{amount(over)}**", amount(bound)]
    return [*cells, f"{ours.asks():,}"]


def _use_up(case: Case, ours: Fleet) -> Counter[int]:
    """Calls until none passes any more, in every Envoy, even a while later."""
    calls = [request(f"customer-{at}", case.asked()) for at in range(case.customers)]
    once = max(case.parallel, len(calls), 16)
    until = time.monotonic() + PATIENCE
    statuses: Counter[int] = Counter()
    quiet = 0
    while quiet < QUIET:
        if time.monotonic() > until:
            raise SystemExit(f"{case} still passes calls after {PATIENCE:.0f} s: {statuses}")
        seen = storm(ours.ports, islice(cycle(calls), once), case.parallel)
        statuses += seen
        quiet = 0 if seen[200] else quiet + 1
        if quiet:
            # "Nothing left" is believed for a second.
            time.sleep(1.1)
    return statuses


GUESSED = 4_096
"""The output that is expected of a request that names no maximum."""
QUIET = 2
PATIENCE = 300.0
HEAD = "limit in|hold|at once|limit|passed|refused|settled|of it|overspent|bound|callouts".split("|")
