"""How often Envoys ask the quota service, once they are in their stride."""

from __future__ import annotations

import time

from ..measured import table, tell
from .fleet import AMPLE, at_once, customers, fleet
from .load import Load

WARM_UP = 5
SECONDS = 12


def steady() -> str:
    """Measures, and returns the table."""
    rows = [["customers", "calls/s", "callouts/s", "callouts per 1,000 calls", "rows lost", "unleased"]]
    with at_once() as upstream:
        for names in (1, 1_000):
            for pause_ms in (64, 0):
                rows.append(_row(upstream.port, names, pause_ms))
    return f"### Callouts\n\n{table(rows)}\n"


def _row(upstream: int, names: int, pause_ms: int) -> list[str]:
    tell(f"callouts, {names} customers")
    load = Load(names=names, pause_ms=pause_ms)
    with fleet(upstream, customers(names, *AMPLE)) as ours:
        load.run(ours.ports[0], WARM_UP)
        before, began = ours.asks(), time.monotonic()
        run = load.run(ours.ports[0], SECONDS)
        asks, seconds = ours.asks() - before, time.monotonic() - began
        if run.refused:
            raise SystemExit(f"{run.refused} calls were refused")
        figures = [run.rate, asks / seconds]
        figures = [f"{names:,}", *(f"{figure:,.0f}" for figure in figures)]
        return [*figures, f"{asks * 1e3 / run.requests:.2f}", f"{ours.lost()}", f"{ours.unleased()}"]
