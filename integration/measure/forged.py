"""A flood of names that no customer has: what it costs, and whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ..measured import table, tell
from .fleet import AMPLE, Fleet, at_once, customers, fleet
from .load import Load, Run

KNOWN = Load(parallel=1)
"""A customer that calls beside the flood, one call after the other."""
SECONDS = 15
HEAD = "beside the known customer|calls/s|callouts|resident MB|its p50 ms|its p99 ms".split("|")


def forged(names: int) -> str:
    """Measures, and returns the table: alone, beside another customer, in the flood, alone again."""
    with at_once() as upstream, fleet(upstream.port, customers(2, *AMPLE), hold=True) as ours:
        KNOWN.run(ours.ports[0], 2)
        rows = [HEAD, _row(ours, "nobody", None)]
        rows.append(_row(ours, "64 parallel of another customer", Load(name="customer-", first=1)))
        sent = 0
        while sent < names:
            tell(f"forged names, {sent:,} of {names:,}")
            before = ours.asks()
            flood = Load(name="forged-", first=sent, names=names)
            run, known = _beside(ours, flood)
            sent += run.requests
            label = f"64 parallel, each call a new name: {sent:,} by then"
            rows.append(_cells(ours, label, run, known, before))
        rows.append(_row(ours, "nobody", None))
        named = "forged" in str(ours.envoys[0].metrics())
        late = f"Calls let through undecided, because an answer was late: {ours.unleased():,}; "
        late += f"a forged name in a metric: {'yes' if named else 'no'}."
    # The floods between the first and the last say nothing new.
    return f"### Forged names\n\n{table([*rows[:4], *rows[max(4, len(rows) - 2) :]])}\n\n{late}\n"


def _row(ours: Fleet, label: str, load: Load | None) -> list[str]:
    before = ours.asks()
    run, known = _beside(ours, load)
    return _cells(ours, label, run, known, before)


def _beside(ours: Fleet, load: Load | None) -> tuple[Run | None, Run]:
    """The load, and the known customer's calls meanwhile."""
    port = ours.ports[0]
    if load is None:
        return None, KNOWN.run(port, 4)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(load.run, port, SECONDS)
        known = KNOWN.run(port, SECONDS)
        return other.result(), known


def _cells(ours: Fleet, label: str, run: Run | None, known: Run, before: int) -> list[str]:
    if known.refused:
        raise SystemExit(f"{known.refused} calls of the known customer were refused")
    rate = "" if run is None else f"{run.rate:,.0f}"
    figures = [rate, f"{ours.asks() - before:,}", f"{ours.envoys[0].memory():.0f}"]
    return [label, *figures, *(f"{micros / 1e3:.2f}" for micros in (known.p50, known.p99))]
