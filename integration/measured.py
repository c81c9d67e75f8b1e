"""What measurements of budgets share: an Envoy whose process is looked at, and their heading."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import bench
from .bench import table
from .bootstrap import Setup

__all__ = ["Measured", "heading", "table", "tell"]


class Measured(bench.Measured):
    """An Envoy whose process is looked at. Without `log`, its access log is made and thrown away."""

    def __init__(self, setup: Setup, *, log: bool = True) -> None:
        super().__init__(setup)
        if not log:
            self.access_log = Path(os.devnull)


def heading(workers: int, load: float) -> str:
    """When and on what this was measured; `load` is the load average before."""
    now = os.getloadavg()[0]
    where = bench.about().replace("one worker", f"{workers} workers")
    return f"{where}; load average {load:.1f} before, {now:.1f} after.\n"


def tell(progress: str) -> None:
    """Says how far a measurement is, beside what it prints."""
    print(f"measuring: {progress}", file=sys.stderr, flush=True)
