"""What Tollgate adds to Envoy: CPU, latency, start-up, memory; beside a wasm that does nothing and
Envoy's own filters that do a part of the job.

One Envoy for each chain of filters, all up at once. One thread holds both ends of each, the client's
connection and the upstream's: it writes, and waits until the other end has it. So nothing races,
every write of the upstream is one read of Envoy's, and neither end counts. Rounds go through all
chains, so what the machine does meanwhile hits them alike. Prints Markdown:

    python -m integration.bench [--rounds 200]
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from .bootstrap import LOCALHOST, TYPES, WASM, Setup
from .envoy import Envoy, binary

NOOP = Path(__file__).with_name("noop.rs")
MODEL = "gpt-4o-mini-2024-07-18"
TENANT = {"tenant": [{"header": "x-tenant-id"}]}
NOTHING = {"access_log": [], "metrics": {"enabled": False}}


@dataclass(frozen=True)
class Scenario:
    """A call, and the writes that make its answer, each with what the client has at its end."""

    name: str
    request: bytes
    writes: Sequence[tuple[bytes, bytes]]
    calls: int
    """In one round."""

    @property
    def is_split(self) -> bool:
        """Whether the answer comes in many writes, and latency is that of one of them."""
        return len(self.writes) > 1


@dataclass(frozen=True)
class Chain:
    """Filters in front of the router."""

    name: str
    filters: Sequence[dict[str, Any]] = ()
    plugin: dict[str, Any] | None = None
    reads: str = ""
    """The scenarios it can read, by the start of their names."""
    proof: str = ""
    """A counter of Envoy's that shows that it has read."""

    def setup(self, port: int) -> Setup:
        """An Envoy with this chain."""
        return Setup({"openai": port}, plugin=self.plugin, filters=self.filters)


class Measured(Envoy):
    """An Envoy whose process is looked at."""

    def cpu(self) -> float:
        """Microseconds of CPU, of all threads, in user and kernel."""
        tasks = Path(f"/proc/{self._pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e3

    def memory(self) -> float:
        """Resident MB."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) / 1024

    def counter(self, name: str) -> int:
        """The sum of Envoy's counters whose names this pattern finds."""
        lines = self._ask(f"/stats?usedonly&filter={name}").splitlines()
        values = (line.rpartition(": ")[2] for line in lines)
        return sum(int(value) for value in values if value.isdigit())

    @property
    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid


@dataclass
class Rig:
    """A running chain, with both its ends in hand, and what was measured of it by scenario."""

    chain: Chain
    envoy: Measured
    client: socket.socket
    upstream: socket.socket
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Microseconds a call, of each round."""
    latency: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Seconds, of each call or write."""

    @classmethod
    def up(cls, chain: Chain, stack: ExitStack) -> Rig:
        """Starts the chain; it is up as long as `stack`."""
        server = stack.enter_context(socket.create_server((LOCALHOST, 0)))
        server.settimeout(PATIENCE)
        envoy = stack.enter_context(Measured(chain.setup(server.getsockname()[1])))
        client = stack.enter_context(_quick(socket.create_connection((LOCALHOST, envoy.port))))
        # Envoy connects when the first request has come.
        client.sendall(JSON_CALL.request)
        rig = cls(chain, envoy, client, stack.enter_context(_quick(server.accept()[0])))
        for _ in rig.answer(JSON_CALL):
            pass
        return rig

    def call(self, scenario: Scenario) -> Iterator[float]:
        """One call: the seconds of each write, or of the whole where there is one."""
        began = time.perf_counter()
        self.client.sendall(scenario.request)
        parts = [part - began for part in self.answer(scenario)]
        if not scenario.is_split:
            return iter(parts)
        return (later - earlier for earlier, later in pairwise(parts))

    def answer(self, scenario: Scenario) -> Iterator[float]:
        """Answers a request that was sent; when each write had come."""
        # A body that may yet be changed goes on in chunks.
        _until(self.upstream, scenario.request, scenario.request + b"\r\n0\r\n\r\n")
        for data, seen in scenario.writes:
            self.upstream.sendall(data)
            _until(self.client, seen)
            yield time.perf_counter()

    def round(self, scenario: Scenario) -> None:
        """The calls of a round, measured."""
        seconds: list[float] = []
        before = self.envoy.cpu()
        for _ in range(scenario.calls):
            seconds += self.call(scenario)
        # What Envoy does behind the last byte counts.
        time.sleep(0.001)
        used = (self.envoy.cpu() - before) / scenario.calls
        self.cpu[scenario.name].append(used)
        self.latency[scenario.name] += seconds

    def prove(self) -> None:
        """Fails if the chain has not done what it is measured for."""
        if self.chain.proof and not self.envoy.counter(self.chain.proof):
            raise SystemExit(f"{self.chain.name}: nothing counted by {self.chain.proof}")


def main() -> None:
    """Measures, and prints the Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tollgate-bench-") as directory:
        noop = _build(Path(directory) / "noop.wasm")
        chains = _chains(noop)
        starts = _starts(chains[:3])
        with ExitStack() as stack:
            rigs = [Rig.up(chain, stack) for chain in chains]
            _rounds(rigs, rounds)
            for rig in rigs:
                rig.prove()
            after = os.getloadavg()[0]
            print(f"{about()}; {rounds} rounds; load average {load:.1f} before, {after:.1f} after.\n")
            for scenario in SCENARIOS:
                print(_scenario(scenario, [rig for rig in rigs if rig.cpu[scenario.name]]))
            sizes = [0, noop.stat().st_size, WASM.stat().st_size]
            print(_loading(sizes, starts, rigs[:3]))


def _chains(noop: Path) -> list[Chain]:
    code = {"local": {"filename": str(noop)}}
    vm = {"vm_id": "noop", "runtime": "envoy.wasm.runtime.v8", "code": code}
    tokens = {"selectors": [{"key": "usage"}, {"key": "total_tokens"}]}
    tokens["on_present"] = {"metadata_namespace": "llm", "key": "total_tokens", "type": "NUMBER"}
    parser = {
        "name": "envoy.content_parsers.json",
        "typed_config": {
            "@type": f"{TYPES}.content_parsers.json.v3.JsonContentParser",
            "rules": [{"rule": tokens}],
        },
    }
    counted = "tollgate_tokens_total"
    return [
        Chain("bare Envoy"),
        Chain("wasm that does nothing", [_http("wasm.v3.Wasm", config={"name": "noop", "vm_config": vm})]),
        Chain("**Tollgate**, as it comes", plugin=TENANT, proof=counted),
        Chain("**Tollgate**, `access_log: [call]`", plugin={**TENANT, "access_log": ["call"]}, proof=counted),
        Chain("**Tollgate**, no log, no metrics", plugin={**TENANT, **NOTHING}),
        Chain(
            "`json_to_metadata`",
            [_http("json_to_metadata.v3.JsonToMetadata", response_rules={"rules": [tokens]})],
            reads="JSON",
            proof="json_to_metadata.resp.success",
        ),
        Chain(
            "`sse_to_metadata`",
            [_http("sse_to_metadata.v3.SseToMetadata", response_rules={"content_parser": parser})],
            reads="SSE",
            proof="sse_to_metadata.*metadata_added",
        ),
        Chain(
            "`ai_protocol_manager`",
            [
                _http(
                    "ai_protocol_manager.v3.AiProtocolManager",
                    response_handling={"token_usage": {"include_unconfigured_routes": True}},
                )
            ],
            proof="ai_protocol_manager.token_usage_found",
        ),
    ]


def _http(kind: str, **config: Any) -> dict[str, Any]:
    name = f"envoy.filters.http.{kind.partition('.')[0]}"
    return {"name": name, "typed_config": {"@type": f"{TYPES}.filters.http.{kind}", **config}}


def _build(wasm: Path) -> Path:
    rustc = os.environ.get("RUSTC", "rustc")
    target = ["--target", "wasm32-unknown-unknown", "--crate-type", "cdylib", "--edition", "2024"]
    flags = ["-O", "-C", "panic=abort", "-C", "strip=symbols"]
    subprocess.run([rustc, *target, *flags, "-o", wasm, NOOP], check=True)
    return wasm


def _starts(chains: Sequence[Chain]) -> list[list[float]]:
    seconds: list[list[float]] = [[] for _ in chains]
    for run in range(STARTS):
        _tell(f"start {run + 1} of {STARTS}")
        for chain, times in zip(chains, seconds, strict=True):
            began = time.perf_counter()
            with Measured(chain.setup(9)):
                times.append(time.perf_counter() - began)
    return seconds


def _rounds(rigs: list[Rig], rounds: int) -> None:
    for number in range(rounds + 1):
        if number % 20 == 0:
            _tell(f"round {number} of {rounds}" if number else "warming up")
        # Each chain comes after each other one.
        turn = number % len(rigs)
        for scenario in SCENARIOS:
            for rig in rigs[turn:] + rigs[:turn]:
                if scenario.name.startswith(rig.chain.reads):
                    rig.round(scenario)
        if number == 0:
            for rig in rigs:
                rig.cpu.clear()
                rig.latency.clear()


def about() -> str:
    """When and on what."""
    version = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout
    envoy = re.search(r"/(\d+\.\d+\.\d+)/", version)[1]
    return f"{datetime.date.today()}, Envoy {envoy}, one worker, on {os.cpu_count()} cores"


def _scenario(scenario: Scenario, rigs: Sequence[Rig]) -> str:
    bare = rigs[0].cpu[scenario.name]
    unit = "ms a write" if scenario.is_split else "ms"
    rows = [["chain", "CPU µs", "of bare", "added µs", "quartiles", f"p50 {unit}", f"p99 {unit}"]]
    for rig in rigs:
        cpu = rig.cpu[scenario.name]
        added = [with_it - without for with_it, without in zip(cpu, bare, strict=True)]
        low, middle, high = statistics.quantiles(added, n=4)
        more = ["", ""] if rig is rigs[0] else [f"{middle:.0f}", f"{low:.0f} to {high:.0f}"]
        ratio = statistics.median(cpu) / statistics.median(bare)
        percent = statistics.quantiles(rig.latency[scenario.name], n=100)
        times = [f"{percent[at - 1] * 1e3:.3f}" for at in (50, 99)]
        rows.append([rig.chain.name, f"{statistics.median(cpu):.0f}", f"{ratio:.2f}", *more, *times])
    return f"### {scenario.name}\n\n{table(rows)}\n"


def _loading(sizes: Sequence[int], starts: Sequence[list[float]], rigs: Sequence[Rig]) -> str:
    rows = [["chain", ".wasm bytes", "ready after ms", "resident MB"]]
    for bytes_, seconds, rig in zip(sizes, starts, rigs, strict=True):
        ready, memory = statistics.median(seconds) * 1e3, rig.envoy.memory()
        rows.append([rig.chain.name, str(bytes_ or ""), f"{ready:.0f}", f"{memory:.0f}"])
    return f"### Loading\n\n{table(rows)}"


def table(rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A table of Markdown: so many columns of text, then numbers, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        sides = "<" * texts + ">" * (len(cells) - texts)
        padded = (f"{c:{side}{w}}" for c, side, w in zip(cells, sides, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|".join("-" * (width + 1) + (":" if at >= texts else "-") for at, width in enumerate(widths))
    return "\n".join([line(rows[0]), f"|{rule}|", *map(line, rows[1:])])


def _until(end: socket.socket, *expected: bytes) -> None:
    """Reads until what was read ends as expected, in one of these ways."""
    tails = tuple(way[-32:] for way in expected)
    read = b""
    while not read.endswith(tails):
        more = end.recv(1 << 20)
        if not more:
            raise SystemExit(f"the connection ended, before {tails!r} came")
        read = read[-32:] + more


def _quick(end: socket.socket) -> socket.socket:
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end.settimeout(PATIENCE)
    return end


def _tell(progress: str) -> None:
    print(f"bench: {progress}", file=sys.stderr, flush=True)


def _request(*, stream: bool) -> bytes:
    """About 1 KB of body."""
    prose = "Tell me what this month will cost, please. " * 21
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prose}], "user": "u-1"}
    if stream:
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps(asked).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\nx-tenant-id: acme\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _json_answer() -> tuple[bytes, bytes]:
    """About 2 KB of body."""
    text = 'The gateway says "yes" to what it can pay for.\n' * 34
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "model": MODEL, "choices": [choice]}
    body = json.dumps({**answer, "usage": USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body, body


def _events() -> list[bytes]:
    """200 of them: words, the usage, the end."""
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    choice = {"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}
    word = json.dumps({**chunk, "choices": [choice], "usage": None}, separators=(",", ":"))
    usage = json.dumps({**chunk, "choices": [], "usage": USAGE}, separators=(",", ":"))
    return [f"data: {data}\n\n".encode() for data in [word] * 198 + [usage, "[DONE]"]]


def _streamed(parts: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """The writes of a stream, and how what Envoy makes of each ends."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]
    chunks[0] = head + chunks[0]
    end = b"\n\n\r\n0\r\n\r\n"
    chunks[-1] += b"0\r\n\r\n"
    return [(chunk, b"\n\n\r\n") for chunk in chunks[:-1]] + [(chunks[-1], end)]


USAGE = {
    "prompt_tokens": 812,
    "completion_tokens": 240,
    "total_tokens": 1052,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 64},
}
JSON_CALL = Scenario("JSON of 2 KB", _request(stream=False), [_json_answer()], 25)
SCENARIOS = [
    JSON_CALL,
    Scenario("SSE, 200 events in one write", _request(stream=True), _streamed([b"".join(_events())]), 10),
    Scenario("SSE, 200 events in 200 writes", _request(stream=True), _streamed(_events()), 2),
]
STARTS = 5
PATIENCE = 20.0
"""Seconds to wait for a byte."""


if __name__ == "__main__":
    main()
