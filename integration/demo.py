"""The demo: whose calls cost how much at which provider, read from a real Envoy.

Starts a stand-in for the providers and Envoy with Tollgate, sends the customers' traffic, prints
what Envoy knows of it, and checks every cost against genai-prices' arithmetic on the stand-in's own
log. Stays up until Ctrl-C; `ONCE=1` ends it; `PORT` and `ADMIN_PORT` choose Envoy's ports.
"""

from __future__ import annotations

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

from . import truth
from .bootstrap import FIELDS, WASM, Route, Setup
from .envoy import Envoy, EnvoyFailed, Metrics, Row, total
from .standin import Standin
from .traffic import CUSTOMERS, FEATURE, MODELS, TENANT, Call, Clients, plan
from .upstream import Upstream

PLUGIN = {
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


def main() -> int:
    """Returns the exit code: 0 only if every number is right."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not WASM.is_file():
        print("no target/tollgate.wasm: run `make wasm`")
        return 2
    try:
        return run()
    except EnvoyFailed as failure:
        print(failure)
        return 2
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def run() -> int:
    """The demo, from the first process to the last."""
    calls = plan()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tollgate-demo-") as directory:
        log = Path(directory) / "calls.jsonl"
        with Upstream(Standin(log).answer) as standin, Envoy(setup(standin.port)) as envoy:
            print(f"\nEnvoy is up after {time.monotonic() - started:.1f} s, Tollgate in it")
            send(calls, envoy.url)
            envoy.rows_when(lambda rows: len(rows) >= len(calls), "the demo's calls")
            rows = {row["id"]: row for row in envoy.rows()}
            seen = Observed(envoy.metrics(), rows, *read_truth(log))
            show(seen, calls)
            wrong = differences(seen, calls)
            show_check(seen, wrong)
            show_addresses(envoy)
            if os.environ.get("ONCE"):
                return 1 if wrong else 0
            print("\nCtrl-C ends the demo.", flush=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                print()
            return 1 if wrong else 0


def setup(standin: int) -> Setup:
    """Envoy with two workers; each provider is a cluster, all of them the stand-in."""
    return Setup(
        upstreams=dict.fromkeys(MODELS, standin),
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


def send(calls: list[Call], url: str) -> None:
    """Makes the calls, telling how far it is."""
    label = f"{len(CUSTOMERS)} customers call through the openai, anthropic and google-genai SDKs"
    started = time.monotonic()
    for done, _ in enumerate(Clients(url).run(calls), start=1):
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
        expected[call.customer, call.provider] += cost or 0
        logged[call.customer, call.provider] += int(got) if (got or "").isdigit() else 0
    for key, cost in expected.items():
        labels = {"tenant": key[0], "provider": key[1]}
        counted = total(seen.metrics, COST, **labels)
        if not cost == counted == logged[key]:
            wrong.append(f"{key[0]} at {key[1]}: {cost}, the metrics {counted}, the log {logged[key]}")
        if (made := total(seen.metrics, REQUESTS, **labels)) != number[key]:
            wrong.append(f"{key[0]} at {key[1]}: {number[key]} calls, the metrics have {made}")
    return wrong + wrong_tokens(seen, calls)


def wrong_tokens(seen: Observed, calls: list[Call]) -> list[str]:
    """Where a customer's tokens of a kind are not those that were sent."""
    wrong = []
    for customer, kind in product(CUSTOMERS, KINDS):
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
    customers = sorted(CUSTOMERS, key=lambda name: -total(seen.metrics, COST, tenant=name))
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
        print("  the access log, and customer by customer in the metrics")


def show_addresses(envoy: Envoy) -> None:
    """Prints where Envoy listens, and something to try."""
    title("Envoy")
    print(f"  proxy       {envoy.url}")
    print(f"  metrics     {envoy.admin}/stats?format=prometheus&filter=tollgate")
    print(f"  access log  {envoy.access_log}")
    print(f"  try         curl {envoy.url}/v1/chat/completions -H '{TENANT}: you' -d '{TRY}'")


def title(text: str, note: str = "") -> None:
    """Prints a heading."""
    print(f"\n{text}" + (f"   ({note})" if note else ""))


def table(head: list[str], lines: list[list[Any]]) -> None:
    """Prints a table: names to the left, numbers to the right, sums below a rule."""
    widths = [max(len(str(line[at])) for line in [head, *lines]) for at in range(len(head))]
    rule = "  " + "-" * (sum(widths) + 3 * (len(widths) - 1))
    for at, line in enumerate([head, *lines]):
        if at in (1, len(lines)):
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

if __name__ == "__main__":
    sys.exit(main())
