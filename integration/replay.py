"""Replays recorded exchanges through a real Envoy with Tollgate, and checks what it counted.

Each exchange is sent twice: its response whole, and cut at random places (small ones into single
bytes). The access log's row is held against `expected.jsonl.gz`, whatever the API. Also checked: the
client gets every byte as it was recorded.

    python -m integration.replay ../shared/recordings [--http2] [--only ID] [--costs]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from . import costs
from .bootstrap import FIELDS, WASM, Setup
from .envoy import Envoy, EnvoyFailed, Row
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

AT_ONCE = 48
SMALL = 512
"""Bodies up to so many bytes are cut into single bytes."""
PAUSE = 0.0005
"""Seconds between two writes, so that Envoy reads them apart."""


@dataclass(frozen=True)
class Exchange:
    """A recorded exchange with its expectation, in one of its two deliveries."""

    recorded: Json
    expected: Json
    cut: bool

    @property
    def id(self) -> str:
        return f"{self.recorded['id']}{'/cut' if self.cut else ''}"

    @property
    def group(self) -> tuple[str, str]:
        return self.recorded["provider"], self.recorded["api"]

    @property
    def body(self) -> bytes:
        return base64.b64decode(self.recorded["response_body_b64"] or "")

    def response(self) -> Response:
        """The recorded response, with its framing made new."""
        body = self.body
        return Response(
            cut_up(body, self.id) if self.cut else [body],
            status=self.recorded["status"],
            headers=list(self._response_headers()),
            chunked=self.cut,
        )

    def request(self, url: str, *, http2: bool) -> httpx.Request:
        """The recorded request, to `url`. An elided body is sent as it is.

        Without `content-length` where it is HTTP/2: with one, our upstream may answer before the
        stream's end was sent, which this client takes for an error.
        """
        recorded = self.recorded
        headers = {k: v for k, v in recorded["request_headers"].items() if k not in FRAMING}
        headers |= {"host": placeholders(recorded["provider_host"]), "x-replay-id": self.id}
        if recorded.get("request_body_b64"):
            body = base64.b64decode(recorded["request_body_b64"])
        else:
            body = (recorded["request_body"] or "").encode()
        return httpx.Request(
            recorded["method"],
            url,
            headers=headers,
            content=_streamed(body) if http2 or self.cut else body,
            extensions={"target": placeholders(recorded["path"]).encode()},
        )

    def _response_headers(self) -> Iterator[tuple[str, str]]:
        for name, value in self.recorded["response_headers"].items():
            decoded = self.recorded["body_state"].startswith("stored-decompressed")
            if name not in FRAMING and not (decoded and name == "content-encoding"):
                yield name, value


async def _streamed(body: bytes) -> AsyncIterator[bytes]:
    yield body


def cut_up(body: bytes, seed: str) -> list[bytes | float]:
    """The body at random cuts, each piece written on its own."""
    rng = random.Random(seed)
    if len(body) <= SMALL:
        cuts = list(range(1, len(body)))
    else:
        cuts = sorted(rng.sample(range(1, len(body)), rng.randint(1, 12)))
    edges = [0, *cuts, len(body)]
    pieces = [body[start:end] for start, end in pairwise(edges)]
    return [step for piece in pieces for step in (piece, PAUSE)]


def placeholders(text: str) -> str:
    """Names where the recording has `<PLACEHOLDERS>`: no client can send those."""
    return re.sub(r"<(\w+)>", lambda found: found[1].lower().replace("_", "-"), text)


def faults(exchange: Exchange, row: Row) -> list[str]:
    """What is wrong with the row, as `field: expected, got`."""
    expected = exchange.expected
    found = {"api": row["api"]}
    wanted: Json = {"api": exchange.recorded["api"]}
    if expected["usage_present"]:
        wanted["usage"] = "reported"
        wanted |= {ours: str(expected[theirs]) for theirs, ours in COMPARED.items() if theirs in expected}
    elif exchange.recorded["status"] >= 300:
        wanted["usage"] = "absent"
    elif row["usage"] not in ("absent", "estimated"):
        wanted["usage"] = "absent or estimated"
    found |= {name: row[name] for name in wanted}
    return [f"{name}: {wanted[name]}, got {found[name]}" for name in wanted if wanted[name] != found[name]]


def load(directory: Path, only: str) -> list[Exchange]:
    """All exchanges, each in both deliveries."""
    with gzip.open(directory / "expected.jsonl.gz", "rt") as lines:
        expected = {row["id"]: row for row in map(json.loads, lines)}
    exchanges = []
    for file in sorted(directory.glob("*.jsonl.gz")):
        if file.name == "expected.jsonl.gz":
            continue
        with gzip.open(file, "rt") as lines:
            for recorded in map(json.loads, lines):
                if only in recorded["id"] or only == recorded["api"]:
                    pair = recorded, expected[recorded["id"]]
                    exchanges += [Exchange(*pair, cut=False), Exchange(*pair, cut=True)]
    return exchanges


async def send(exchanges: list[Exchange], url: str, *, http2: bool) -> dict[str, str]:
    """Sends all exchanges; returns what clients saw wrong, by id."""
    wrong: dict[str, str] = {}
    slots = asyncio.Semaphore(AT_ONCE)
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)

    async def one(exchange: Exchange) -> None:
        async with slots:
            try:
                answer = await client.send(exchange.request(url, http2=http2), stream=True)
                body = b"".join([piece async for piece in answer.aiter_raw()])
                await answer.aclose()
            except httpx.HTTPError as error:
                wrong[exchange.id] = f"no answer: {error!r}"
                return
        if answer.status_code != exchange.recorded["status"]:
            wrong[exchange.id] = f"status: {exchange.recorded['status']}, got {answer.status_code}"
        elif body != exchange.body:
            wrong[exchange.id] = f"body changed: {len(exchange.body)} bytes, got {len(body)}"

    async with httpx.AsyncClient(http1=not http2, http2=http2, limits=limits, timeout=60) as client:
        await asyncio.gather(*map(one, exchanges))
    return wrong


def replay(exchanges: list[Exchange], *, http2: bool) -> tuple[dict[str, Row], dict[str, str]]:
    """Sends the exchanges through Envoy; returns the access log's rows and clients' complaints.

    With `http2`, the client and the upstream speak it: a second Envoy, without the filter, stands
    in front of the upstream for that.
    """
    # What was recorded is what the client had asked for.
    plugin = {"tenant": [{"header": "x-tenant-id"}], "access_log": FIELDS, "include_usage": False}
    with ExitStack() as running:
        upstream = running.enter_context(Upstream(lambda _: Response(status=404)))
        for exchange in exchanges:
            upstream.script(exchange.response(), exchange.id)
        port = upstream.port
        if http2:
            port = running.enter_context(Envoy(Setup({"recorded": port}))).port
        setup = Setup({"recorded": port}, plugin, workers=2, upstream_http2=http2)
        envoy = running.enter_context(Envoy(setup))
        wrong = asyncio.run(send(exchanges, envoy.url, http2=http2))
        try:
            rows = envoy.rows_when(lambda rows: len(rows) >= len(exchanges))
        except TimeoutError:
            rows = {row["id"]: row for row in envoy.rows()}
        return rows, wrong


def judge(exchanges: list[Exchange], rows: dict[str, Row], wrong: dict[str, str]) -> int:
    """Prints the table, the failures and the sum; returns the number of failures.

    Of the rows in `disputed.json` others are expected than recorded; they may be 0.5 % of all.
    """
    disputed = json.loads(DISPUTED.read_text())
    met = {exchange.recorded["id"] for exchange in exchanges if exchange.recorded["id"] in disputed}
    if len(met) > MOST_DISPUTED * len({exchange.recorded["id"] for exchange in exchanges}):
        print(f"{len(met)} rows are disputed: more than {MOST_DISPUTED:.1%}")
        return len(met)
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    failed: list[str] = []
    for exchange in exchanges:
        row = rows.get(exchange.id)
        if exchange.id in wrong:
            found = [wrong[exchange.id]]
        elif row is None:
            found = ["no row in the access log"]
        elif (
            exchange.expected.get("ground_truth") not in (None, "firm", "ruled")
            or exchange.recorded["id"] in met
        ):
            table[exchange.group]["unclear"] += 1
            continue
        else:
            found = faults(exchange, row)
        outcome = "failed" if found else "matched"
        table[exchange.group][outcome] += 1
        if found:
            failed.append(f"  {exchange.id}  {'; '.join(found)}")
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
    parser.add_argument("--http2", action="store_true", help="HTTP/2 on both sides of Envoy")
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
    print(f"{len(exchanges) // 2} exchanges, each whole and cut, through Envoy ...", flush=True)
    try:
        # Each delivery has an Envoy of its own: what one response in the background used counts once.
        rows: dict[str, Row] = {}
        wrong: dict[str, str] = {}
        for cut in (False, True):
            delivered = [exchange for exchange in exchanges if exchange.cut == cut]
            found, complaints = replay(delivered, http2=options.http2)
            rows |= found
            wrong |= complaints
    except EnvoyFailed as failure:
        print(failure)
        return 2
    failures = judge(exchanges, rows, wrong)
    if options.costs:
        whole = [exchange for exchange in exchanges if not exchange.cut and exchange.id in rows]
        failures += costs.compare((e.recorded, e.expected, rows[e.id]) for e in whole)
    return 1 if failures else 0


FRAMING = {"content-length", "transfer-encoding", "connection", "host", "keep-alive"}

if __name__ == "__main__":
    sys.exit(main())
