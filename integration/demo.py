"""The demo: which customers cost how much, which pay for it, and what happens at their limits.

Starts a stand-in for the providers, the quota service, Envoy with Tollgate and a receiver of Slack's
messages; sends the customers' traffic; prints what is known of it; and checks every cost in metrics,
access log and ledger against genai-prices' arithmetic on the stand-in's own log. Stays up until
Ctrl-C; `ONCE=1` ends it; `PORT`, `ADMIN_PORT`, `QUOTA_PORT` and `PAGE_PORT` choose ports.
"""

from __future__ import annotations

import html
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from . import business, truth
from .bootstrap import FIELDS, LOCALHOST, WASM, Route, Setup
from .envoy import Envoy, EnvoyFailed, Metrics, Row, total
from .quota import TOKEN, Quota, QuotaFailed
from .standin import Standin
from .traffic import (
    CUSTOMERS,
    DOWNGRADED,
    FEATURE,
    MODELS,
    NEARLY,
    SOLD_OUT,
    TENANT,
    Call,
    Clients,
    plan,
)
from .upstream import Response, Upstream

PLUGIN = {
    **Quota.plugin(),
    "tenant": [{"header": TENANT}],
    "feature": [{"header": FEATURE}],
    "strip": [TENANT, FEATURE],
    "access_log": FIELDS,
}

KINDS = {
    "input": ["input"],
    "cache read": ["cache_read"],
    "cache write": ["cache_write", "cache_write_5m", "cache_write_1h"],
    "output": ["output"],
    "reasoning": ["reasoning"],
}
"""The table's columns, and the kinds of `tollgate_tokens_total` in each."""


@dataclass(frozen=True)
class Observed:
    """What Envoy says of the calls, and what the stand-in says it sent."""

    metrics: Metrics
    rows: dict[str, Row]
    truth: dict[str, int | None]
    """Nano-dollars by call, by genai-prices; `None`: no price known."""
    tokens: dict[str, dict[str, int]]
    """Tokens by call and kind, by genai-prices."""
    ledger: dict[str, dict[str, Any]]
    """The quota service's rows, by the gateway's name for the call."""


def main() -> int:
    """Returns the exit code: 0 only if every number is right."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not WASM.is_file():
        print("no target/tollgate.wasm: run `make wasm`")
        return 2
    try:
        return run()
    except (EnvoyFailed, QuotaFailed) as failure:
        print(failure)
        return 2
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def run() -> int:
    """The demo, from the first process to the last."""
    calls = plan()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="tollgate-demo-") as directory,
        Upstream(lambda _: Response([b"ok"], chunked=False)) as slack,
        Quota(business.customers(f"http://{LOCALHOST}:{slack.port}/"), ports=ports()) as quota,
        Upstream(Standin(log := Path(directory) / "calls.jsonl").answer) as standin,
        Envoy(setup(standin.port, quota.port)) as envoy,
    ):
        print(f"\nEnvoy and the quota service are up after {time.monotonic() - started:.1f} s")
        business.tell_used(quota)
        clients = Clients(envoy.url)
        send(calls, clients)
        limits = at_the_limits(clients)
        calls += limits.passed
        # One more: the call that is refused.
        envoy.rows_when(lambda rows: len(rows) > len(calls), "the demo's calls")
        rows = {row["id"]: row for row in envoy.rows()}
        ledger = quota.ledger_when(lambda ledger: all(row["call_id"] in ledger for row in rows.values()))
        seen = Observed(envoy.metrics(), rows, *read_truth(log), ledger)
        business.tell_history(quota, business.own(calls, seen.truth))
        show(seen, calls)
        show_limits(limits, slack)
        margin = quota.report("margin")
        show_margin(margin)
        wrong = differences(seen, calls) + limits.wrong() + business.agree(margin)
        show_check(seen, wrong)
        show_addresses(envoy, quota)
        if os.environ.get("ONCE"):
            return 1 if wrong else 0
        print("\nCtrl-C ends the demo.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
        return 1 if wrong else 0


@dataclass(frozen=True)
class Limits:
    """What happened to three customers at their limits."""

    passed: list[Call]
    refused: str
    """What the SDK raised."""
    model: str
    """What answered the call that asked for a dearer model."""
    header: str
    """What that answer says of it."""

    def wrong(self) -> list[str]:
        """What did not happen as it should."""
        wrong = []
        if not self.refused.endswith(SENTENCE):
            wrong.append(f"the customer at its limit got {self.refused!r}, not {SENTENCE!r}")
        if not self.model.startswith(CHEAPER) or not self.header:
            wrong.append(f"{self.model} answered for {DEAR}, with the header {self.header!r}")
        return wrong


def at_the_limits(clients: Clients) -> Limits:
    """One call each of customers before their threshold, at their limit, and at one that downgrades."""
    nearly, refused, downgraded = (
        Call(f"{who}-limit", who, "analysis", "openai", DEAR, False) for who in (NEARLY, SOLD_OUT, DOWNGRADED)
    )
    list(clients.run([nearly]))
    sentence = clients.refused(refused)
    model, header = clients.downgraded(downgraded)
    return Limits([nearly, downgraded], sentence, model, header)


def ports() -> tuple[int, int]:
    """The quota service's ports, as far as the environment chooses them."""
    return int(os.environ.get("QUOTA_PORT", "0")), int(os.environ.get("PAGE_PORT", "0"))


def setup(standin: int, quota: int) -> Setup:
    """Envoy with two workers; each provider is a cluster, all of them the stand-in."""
    return Setup(
        upstreams=dict.fromkeys(MODELS, standin) | {"quota": quota},
        plugin=PLUGIN,
        routes=[
            Route("openai", prefix="/v1/chat"),
            Route("anthropic", prefix="/v1/messages"),
            Route("google"),
        ],
        workers=2,
        port=int(os.environ.get("PORT", "0")),
        admin_port=int(os.environ.get("ADMIN_PORT", "0")),
    )


def send(calls: list[Call], clients: Clients) -> None:
    """Makes the calls, telling how far it is."""
    label = f"{len(CUSTOMERS)} customers call through the openai, anthropic and google-genai SDKs"
    started = time.monotonic()
    for done, _ in enumerate(clients.run(calls), start=1):
        if sys.stdout.isatty():
            print(f"\r{label}: {done} of {len(calls)}", end="", flush=True)
    start = "\r" if sys.stdout.isatty() else ""
    print(f"{start}{label}: {len(calls)} calls in {time.monotonic() - started:.1f} s")


def read_truth(log: Path) -> tuple[dict[str, int | None], dict[str, dict[str, int]]]:
    """What each call cost, and its tokens by kind, from the stand-in's log."""
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    sent = {call["id"]: (call["response"], call["api"], call["provider"]) for call in calls}
    costs = {id: truth.cost(data, api, provider_id=by) for id, (data, api, by) in sent.items()}
    return costs, {id: truth.tokens(*args) for id, args in sent.items()}


def differences(seen: Observed, calls: list[Call]) -> list[str]:
    """Where the access log or the metrics do not say what genai-prices says."""
    wrong = []
    expected: Counter[tuple[str, str]] = Counter()
    logged: Counter[tuple[str, str]] = Counter()
    number = Counter((call.customer, call.provider) for call in calls)
    for call in calls:
        row, cost = seen.rows.get(call.id, {}), seen.truth.get(call.id)
        got, wanted = row.get("cost_nano_usd"), "unpriced" if cost is None else str(cost)
        if (row.get("tenant"), row.get("provider"), got) != (call.customer, call.provider, wanted):
            who = f"{row.get('tenant')} at {row.get('provider')}"
            wrong.append(f"{call.id} ({call.model}): {wanted} nano-dollars, the log has {got} for {who}")
        booked = seen.ledger.get(row.get("call_id") or "", {})
        if (booked.get("customer"), booked.get("cost")) != (call.customer, cost):
            wrong.append(f"{call.id}: {wanted} nano-dollars, the ledger has {booked.get('cost')}")
        expected[call.customer, call.provider] += cost or 0
        logged[call.customer, call.provider] += int(got) if (got or "").isdigit() else 0
    for key, cost in expected.items():
        labels = {"tenant": key[0], "provider": key[1]}
        counted = total(seen.metrics, COST, **labels)
        if not cost == counted == logged[key]:
            wrong.append(f"{key[0]} at {key[1]}: {cost}, the metrics {counted}, the log {logged[key]}")
        if (made := total(seen.metrics, REQUESTS, **labels)) != number[key]:
            wrong.append(f"{key[0]} at {key[1]}: {number[key]} calls, the metrics have {made}")
    made = len(seen.rows)
    if len(own := [row for row in seen.ledger.values() if row["gateway"] != EARLIER]) != made:
        wrong.append(f"{made} calls in the access log, {len(own)} in the ledger")
    return wrong + wrong_tokens(seen, calls)


def wrong_tokens(seen: Observed, calls: list[Call]) -> list[str]:
    """Where a customer's tokens of a kind are not those that were sent."""
    wrong = []
    for customer, kind in product(names(calls), KINDS):
        own = (seen.tokens.get(call.id, {}) for call in calls if call.customer == customer)
        sent = sum(tokens.get(kind, 0) for tokens in own)
        counted = tokens_of(seen.metrics, kind, tenant=customer)
        if sent != counted:
            wrong.append(f"{customer}: {sent} tokens of {kind}, the metrics have {counted}")
    return wrong


def tokens_of(metrics: Metrics, column: str, **labels: str) -> int | float:
    """The tokens of one column of the table."""
    return sum(total(metrics, TOKENS, kind=kind, **labels) for kind in KINDS[column])


def show(seen: Observed, calls: list[Call]) -> None:
    """Prints the tables, some rows and some samples."""
    title("What each customer used and what it cost", "from Envoy's metrics")
    customers = sorted(names(calls), key=lambda name: -total(seen.metrics, COST, tenant=name))
    lines = [customer_line(seen.metrics, name, tenant=name) for name in customers]
    table(["customer", "calls", *KINDS, "cost"], [*lines, customer_line(seen.metrics, "all")])
    for labels, number in seen.metrics.get("tollgate_unpriced_total", []):
        print(f"  not in the cost: {number} of {labels['tenant']}, to {labels['model']}, which has no price")

    title("Where the money goes", "customer by provider")
    by_provider = [
        [name, *(dollars(total(seen.metrics, COST, tenant=name, provider=p)) for p in MODELS)]
        for name in customers
    ]
    sums = ["all", *(dollars(total(seen.metrics, COST, provider=p)) for p in MODELS)]
    table(["customer", *MODELS], [*by_provider, sums])

    title("Some lines of the access log", "each call has one, with all it used in the field `call`")
    shown = "tenant feature provider model stream input_tokens output_tokens cost_usd usage".split()
    for call in one_each(calls, lambda call: (call.provider, call.stream)):
        row = seen.rows.get(call.id, {})
        print("  " + " ".join(f"{name}={row.get(name)}" for name in shown))

    title("Some metrics")
    for name in (REQUESTS, TOKENS, COST, "tollgate_ttft_ms_count"):
        for labels, value in seen.metrics.get(name, [])[:2]:
            print(f"  {name}{{{','.join(f'{k}={json.dumps(v)}' for k, v in labels.items())}}} {value}")


def names(calls: list[Call]) -> set[str]:
    """Whose calls these are."""
    return {call.customer for call in calls}


def show_limits(limits: Limits, slack: Upstream) -> None:
    """Prints what customers, and the business, are told at a limit."""
    title("A customer at its limit", f"{SOLD_OUT} has used all it has; the SDK raises, after one request")
    print(f"  {limits.refused}")
    title("Another is moved to a cheaper model", f"{DOWNGRADED} asked for {DEAR}")
    print(f"  answered by {limits.model}   x-tollgate-downgraded: {limits.header}")
    until = time.monotonic() + TOLD_IN
    texts: list[str] = []
    while not all(any(name in text for text in texts) for name in TOLD) and time.monotonic() < until:
        time.sleep(0.1)
        texts = [json.loads(request.body)["text"] for request in slack.requests]
    title("What Slack got", f"once each: {NEARLY} has just passed 80 % of its budget")
    for text in texts:
        print(f"  {html.unescape(text)}")


def show_margin(margin: dict[str, Any]) -> None:
    """Prints who pays for what it costs."""
    title("Who pays its way", "this month, from the quota service: also what was before the demo")
    lines = [
        [
            line["customer_name"] or line["customer"],
            line["plan"],
            f"${line['cost_nano_usd'] / 10**9:,.2f}",
            f"${(line['revenue_nano_usd'] or 0) / 10**9:,.2f}",
            "-" if line["margin_percent"] is None else f"{line['margin_percent']} %",
        ]
        for line in sorted(margin["lines"], key=lambda line: -line["cost_nano_usd"])
    ]
    table(["customer", "plan", "cost", "revenue", "margin"], lines, sums=False)


def customer_line(metrics: Metrics, name: str, **labels: str) -> list[Any]:
    """One line of the customers' table; without labels the sum of all."""
    counts = [total(metrics, REQUESTS, **labels)]
    counts += [tokens_of(metrics, column, **labels) for column in KINDS]
    return [name, *(f"{n:,}" for n in counts), dollars(total(metrics, COST, **labels))]


def show_check(seen: Observed, wrong: list[str]) -> None:
    """Prints the verdict."""
    title("Checked against genai-prices", "on what the stand-in says it sent")
    for line in wrong[:SHOWN]:
        print(f"  WRONG  {line}")
    if len(wrong) > SHOWN:
        print(f"  ... and {len(wrong) - SHOWN} more")
    if not wrong:
        priced = [cost for cost in seen.truth.values() if cost is not None]
        print(f"  {len(priced)} calls, {dollars(sum(priced))}: the same to the nano-dollar, call by call in")
        print("  the access log and in the ledger, and customer by customer in the metrics")


def show_addresses(envoy: Envoy, quota: Quota) -> None:
    """Prints where to look, and something to try."""
    title("The page")
    print(f"  page        {quota.admin}/   token: {TOKEN}")
    print(f"  reports     curl -H 'authorization: Bearer {TOKEN}' {quota.admin}/v1/reports/margin")
    title("Envoy")
    print(f"  proxy       {envoy.url}")
    print(f"  metrics     {envoy.admin}/stats?format=prometheus&filter=tollgate")
    print(f"  access log  {envoy.access_log}")
    print(f"  try         curl {envoy.url}/v1/chat/completions -H '{TENANT}: you' -d '{TRY}'")


def title(text: str, note: str = "") -> None:
    """Prints a heading."""
    print(f"\n{text}" + (f"   ({note})" if note else ""))


def table(head: list[str], lines: list[list[Any]], *, sums: bool = True) -> None:
    """Prints a table: names to the left, numbers to the right, sums below a rule."""
    widths = [max(len(str(line[at])) for line in [head, *lines]) for at in range(len(head))]
    rule = "  " + "-" * (sum(widths) + 3 * (len(widths) - 1))
    for at, line in enumerate([head, *lines]):
        if at == 1 or (sums and at == len(lines)):
            print(rule)
        cells = [str(cell).rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  " + "   ".join([str(line[0]).ljust(widths[0]), *cells[1:]]))


def one_each(calls: Iterable[Call], key: Callable[[Call], Any]) -> list[Call]:
    """The first call of each sort, the sorts in order."""
    sorts: dict[Any, list[Call]] = defaultdict(list)
    for call in calls:
        sorts[key(call)].append(call)
    return [sorts[sort][0] for sort in sorted(sorts)]


def dollars(nano: int | float) -> str:
    """Nano-dollars as dollars, every digit; nothing is a dash."""
    if nano == 0:
        return "-"
    whole, part = divmod(int(nano), 10**9)
    return f"${whole}.{part:09d}"


REQUESTS = "tollgate_requests_total"
TOKENS = "tollgate_tokens_total"
COST = "tollgate_cost_nano_usd_total"
TRY = '{"model": "gpt-4.1", "messages": [{"role": "user", "content": "hello"}]}'
SHOWN = 10
TOLD_IN = 5.0
EARLIER = "an-earlier-one"
DEAR, CHEAPER = "gpt-4.1", "gpt-4.1-mini"
TOLD = ("Wonka", "MegaCo")
SENTENCE = "You've used your 2,000 included AI analyses this month. Upgrade for more."

if __name__ == "__main__":
    sys.exit(main())
