"""The latency that the check adds: the same filter with budgets and without, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..measured import table, tell
from .fleet import AMPLE, at_once, customers, fleet, gateway
from .load import Load, Run

LOADS = {
    "one after the other": Load(parallel=1),
    "64 parallel, about 1,000 calls a second": Load(pause_ms=64),
    "64 parallel, as fast as they can": Load(),
}
ROUNDS = 8
SECONDS = 2


def latency() -> str:
    """Measures, and returns the tables: with the service out of the way, and in it."""
    with at_once() as upstream, fleet(upstream.port, customers(1, *AMPLE)) as ours:
        plugin = {k: v for k, v in ours.quota.plugin().items() if k != "service"}
        with gateway(upstream.port, plugin, ours.quota) as without:
            ports = [without.port, *ours.ports]
            for port in ports:
                Load().run(port, 1)
            beside = _table(ports)
            ours.quota.step_back()
            away = _table(ports)
            late = ours.unleased()
    said = f"Calls let through undecided, because an answer was late: {late:,}."
    return (
        f"### The check\n\nThe service runs only when nothing else wants a core:\n\n{away}\n\n"
        f"The service takes its part of the same two cores:\n\n{beside}\n\n{said}\n"
    )


def _table(ports: Sequence[int]) -> str:
    rows = [HEAD]
    for name, load in LOADS.items():
        rows += _rows(name, _rounds(name, load, ports))
    return table(rows)


def _rounds(name: str, load: Load, ports: Sequence[int]) -> list[list[Run]]:
    """The runs without budgets, and those with them, in the same order."""
    runs: list[list[Run]] = [[] for _ in ports]
    for number in range(ROUNDS):
        tell(f"the check, {name}, round {number + 1} of {ROUNDS}")
        pairs = list(zip(ports, runs, strict=True))
        # Neither is always the first.
        for port, own in pairs if number % 2 else pairs[::-1]:
            own.append(load.run(port, SECONDS))
    return runs


def _rows(name: str, runs: Sequence[Sequence[Run]]) -> list[list[str]]:
    without, _ = runs
    rows = []
    for label, own in zip((f"{name}, no budgets", f"{name}, **two budgets**"), runs, strict=True):
        cells = [label, f"{statistics.median(run.rate for run in own):,.0f}"]
        for percentile in ("p50", "p99"):
            cells.append(f"{statistics.median(getattr(run, percentile) for run in own) / 1e3:.3f}")
            pairs = zip(own, without, strict=True)
            more = [(getattr(a, percentile) - getattr(b, percentile)) / 1e3 for a, b in pairs]
            low, middle, high = statistics.quantiles(more, n=4)
            cells += ["", ""] if own is without else [f"{middle:+.3f}", f"{low:+.3f} to {high:+.3f}"]
        rows.append([*cells, f"{sum(run.refused for run in own):,}"])
    return rows


HEAD = ["load", "calls/s", "p50 ms", "added ms", "quartiles", "p99 ms", "added ms", "quartiles", "refused"]
"""Budgets in requests are firm: where the service has no core left to lend in time, calls are refused."""
