"""Calls from `wrk`, which is fast enough not to be what is measured."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..bootstrap import LOCALHOST
from ..storm import request

SCRIPT = Path(__file__).with_name("load.lua")


@dataclass(frozen=True)
class Run:
    """What came of some seconds of calls."""

    requests: int
    micros: int
    p50: float
    """Microseconds."""
    p99: float
    refused: int
    """Answers that were not 2xx or 3xx."""
    broken: int
    """Calls without an answer."""

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.requests * 1e6 / self.micros


@dataclass(frozen=True)
class Load:
    """Calls in a closed loop: a connection sends the next when it has the answer to the last."""

    parallel: int = 64
    names: int = 1
    """So many customers, by turns."""
    name: str = "customer-"
    """What the names begin with; a number follows."""
    first: int = 0
    pause_ms: int = 0
    """For how long, on average, a connection waits before each call."""

    def run(self, port: int, seconds: int) -> Run:
        """Sends for so long, to one Envoy."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(request(self.name + "NAME"))
            file.flush()
            numbers = map(str, (self.first, self.names, self.pause_ms))
            command = [
                *("wrk", "--threads", "1", "--connections", str(self.parallel)),
                *("--duration", f"{seconds}s", "--timeout", "10s", "--script", str(SCRIPT)),
                *(f"http://{LOCALHOST}:{port}", "--", file.name, *numbers),
            ]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        run = Run(**json.loads(said.splitlines()[-1]))
        if run.broken or not run.requests:
            raise SystemExit(f"calls broke: {run}")
        return run
