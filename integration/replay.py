"""Replays recorded exchanges through a real Envoy with Tollgate, and checks what it counted.

Each exchange is sent four times: its response whole, cut at random places, byte by byte, and over
HTTP/2. The access log's row is held against `expected.jsonl.gz`, whatever the API. Also checked: the
client gets every byte as it was recorded.

    python -m integration.replay ../shared/recordings [--fast] [--http2] [--only ID] [--costs]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import httpx

from . import costs
from .bootstrap import FIELDS, WASM, Setup
from .envoy import Envoy, EnvoyFailed, Row
from .recorded import Delivery, Exchange, at_random, byte_by_byte, load, rounds, whole
from .upstream import Response, Upstream

Json = dict[str, Any]

COMPARED = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
}
"""What the expectation calls a number, and what the access log calls it."""

DISPUTED = Path(__file__).with_name("disputed.json")
"""Rows whose expectation is believed to be wrong, by id, each with the reason."""
MOST_DISPUTED = 0.005
PROVIDERS = Path(__file__).parent.parent / "docs" / "providers.md"

AT_ONCE = 48
DELIVERIES = (
    Delivery("whole", whole),
    Delivery("cut", at_random),
    Delivery("bytes", byte_by_byte),
    Delivery("http2", at_random, http2=True),
)


def faults(exchange: Exchange, row: Row) -> list[str]:
    """What is wrong with the row, as `field: expected, got`."""
    expected = exchange.expected
    wanted: Json = {"api": exchange.group[1]} if exchange.group[1] in apis() else {}
    found: Json = {"api": row["api"]}
    if expected.get("usage_present") and exchange.is_repeat and row["usage"] == "absent":
        # What a poll tells of work that was not done in the background was told by that work.
        pass
    elif expected.get("usage_present"):
        wanted["usage"] = "reported"
        wanted |= {
            ours: str(int(expected[theirs]))
            for theirs, ours in COMPARED.items()
            if expected.get(theirs) is not None
        }
    elif exchange.status >= 300:
        wanted["usage"] = "absent"
    elif row["usage"] not in (None, "absent", "estimated"):
        wanted["usage"] = "absent or estimated"
    found |= {name: row[name] for name in wanted}
    if wanted.get("usage") == "absent" and row["usage"] is None:
        # A call that is not read, and has no usage to be read.
        found["usage"] = "absent"
    return [f"{name}: {wanted[name]}, got {found[name]}" for name in wanted if wanted[name] != found[name]]


@cache
def apis() -> frozenset[str]:
    """The calls that are read. A recording may have others, whose name is no matter of ours."""
    return frozenset(re.findall(r"^\| `([\w.-]+)` \|", PROVIDERS.read_text(), re.MULTILINE))


async def send(exchanges: list[Exchange], url: str, delivery: Delivery) -> dict[str, str]:
    """Sends all exchanges; returns what clients saw wrong, by name."""
    wrong: dict[str, str] = {}
    http2 = delivery.http2
    slots = asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)

    async def one(exchange: Exchange) -> None:
        async with slots:
            name = name_of(exchange, delivery)
            try:
                answer = await client.send(exchange.request(url, delivery, name), stream=True)
                body = b"".join([piece async for piece in answer.aiter_raw()])
                await answer.aclose()
            except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
                wrong[name] = f"no answer: {error!r}"
                return
        if answer.status_code != exchange.status:
            wrong[name] = f"status: {exchange.status}, got {answer.status_code}"
        elif body != exchange.body:
            wrong[name] = f"body changed: {len(exchange.body)} bytes, got {len(body)}"

    async with httpx.AsyncClient(http1=not http2, http2=http2, limits=limits, timeout=60) as client:
        await asyncio.gather(*map(one, exchanges))
    return wrong


def name_of(exchange: Exchange, delivery: Delivery) -> str:
    """What the access log calls the exchange, sent in this way."""
    return f"{exchange.number}/{delivery.name}"


def replay(exchanges: list[Exchange], delivery: Delivery) -> tuple[dict[str, Row], dict[str, str]]:
    """Sends the exchanges through Envoy; returns the access log's rows and clients' complaints, by name.

    Over HTTP/2 both the client and the upstream speak it: a second Envoy, without the filter, stands
    in front of the upstream for that.
    """
    # What was recorded is what the client had asked for.
    plugin = {"tenant": [{"header": "x-tenant-id"}], "access_log": FIELDS, "include_usage": False}
    with ExitStack() as running:
        upstream = running.enter_context(Upstream(lambda _: Response(status=404)))
        for exchange in exchanges:
            upstream.script(exchange.response(delivery), name_of(exchange, delivery))
        port = upstream.port
        if delivery.http2:
            port = running.enter_context(Envoy(Setup({"recorded": port}))).port
        setup = Setup({"recorded": port}, plugin, workers=2, upstream_http2=delivery.http2)
        envoy = running.enter_context(Envoy(setup))
        wrong = asyncio.run(send(exchanges, envoy.url, delivery))
        try:
            rows = envoy.rows_when(lambda rows: len(rows) >= len(exchanges))
        except TimeoutError:
            rows = {row["id"]: row for row in envoy.rows()}
        return rows, wrong


@dataclass
class Seen:
    """What has come of all exchanges, by their names."""

    rows: dict[str, Row] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


def judge(exchanges: list[Exchange], deliveries: tuple[Delivery, ...], seen: Seen) -> int:
    """Prints the table, the failures and the sum; returns the number of failures.

    Of the rows in `disputed.json` others are expected than recorded; they may be 0.5 % of all.
    """
    disputed = json.loads(DISPUTED.read_text())
    met = {exchange.id for exchange in exchanges if exchange.id in disputed}
    if len(met) > MOST_DISPUTED * len(exchanges):
        print(f"{len(met)} rows are disputed: more than {MOST_DISPUTED:.1%}")
        return len(met)
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    failed: list[str] = []
    for exchange, delivery in product(exchanges, deliveries):
        name = name_of(exchange, delivery)
        row = seen.rows.get(name)
        truth = exchange.expected.get("ground_truth")
        unclear = exchange.id in met or not exchange.expected or truth not in (None, "firm", "ruled")
        if name in seen.wrong:
            found = [seen.wrong[name]]
        elif row is None:
            found = ["no row in the access log"]
        elif unclear:
            table[exchange.group]["unclear"] += 1
            continue
        else:
            found = faults(exchange, row)
        outcome = "failed" if found else "matched"
        table[exchange.group][outcome] += 1
        if found:
            failed.append(f"  {exchange.id} {delivery.name}  {'; '.join(found)}")
    show(table)
    if failed:
        print("\nfailed (field: expected, got what the access log has)")
        print("\n".join(failed))
    matched = sum(counts["matched"] for counts in table.values())
    print(f"\n{matched} matched, {len(failed)} failed")
    return len(failed)


def show(table: dict[tuple[str, str], Counter[str]]) -> None:
    """Prints the table: a line for each provider and API."""
    columns = ["matched", "failed", "unclear"]
    print(f"{'provider':18}{'api':30}" + "".join(f"{name:>10}" for name in columns))
    for group in sorted(table, key=lambda group: (group[1], group[0])):
        counts = "".join(f"{table[group][name] or '.':>10}" for name in columns)
        print(f"{group[0]:18}{group[1]:30}{counts}")
    print("unclear: the recording's meaning is disputed")


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description="Replays recorded exchanges through Envoy.")
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--http2", action="store_true", help="only HTTP/2, on both sides of Envoy")
    parser.add_argument("--fast", action="store_true", help="only whole, and at random cuts")
    parser.add_argument("--only", default="", help="an api, or a part of the ids")
    parser.add_argument("--costs", action="store_true", help="compare costs with genai-prices")
    options = parser.parse_args()
    if not (options.recordings / "expected.jsonl.gz").is_file():
        print(f"no recordings in {options.recordings}: set RECORDINGS to the directory that has")
        print("expected.jsonl.gz and the exchanges (RECORDINGS=dir make replay)")
        return 2
    if not WASM.is_file():
        print("no target/tollgate.wasm: run `make wasm`")
        return 2
    exchanges = load(options.recordings, options.only)
    deliveries = tuple(d for d in DELIVERIES if d.http2 or not options.http2)
    deliveries = deliveries[:2] if options.fast else deliveries
    names = ", ".join(delivery.name for delivery in deliveries)
    print(f"{len(exchanges)} exchanges through Envoy: {names} ...", flush=True)
    seen = Seen()
    try:
        # Each delivery, and each part of it, has an Envoy of its own: what one response in the background
        # used counts once.
        for delivery, part in product(deliveries, rounds(exchanges)):
            rows, wrong = replay(part, delivery)
            seen.rows |= rows
            seen.wrong |= wrong
    except EnvoyFailed as failure:
        print(failure)
        return 2
    failures = judge(exchanges, deliveries, seen)
    if options.costs:
        rows = seen.rows
        first = [(exchange, name_of(exchange, deliveries[0])) for exchange in exchanges]
        failures += costs.compare((e.recorded, e.expected, rows[n]) for e, n in first if n in rows)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
