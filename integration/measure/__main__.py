"""Measures budgets: what the check adds, how often Envoys ask the quota service, what is spent
beyond a limit, what forged names cost, what the service takes, what many customers cost, what
killed replicas do. Prints Markdown:

    python -m integration.measure [check callouts overspend forged throughput tenants replicas]
        [--envoys 1 4] [--names 100000] [--customers 1 1000 100000 1000000]
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator

from ..measured import heading
from .asks import steady
from .check import latency
from .fleet import WORKERS
from .forged import forged
from .overspend import overspend
from .replicas import replicas
from .service import tenants, throughput

PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "check": lambda _: iter([latency()]),
    "callouts": lambda _: iter([steady()]),
    "overspend": lambda options: map(overspend, options.envoys),
    "forged": lambda options: iter([forged(options.names)]),
    "throughput": lambda _: throughput(),
    "tenants": lambda options: tenants(options.customers),
    "replicas": lambda _: iter([replicas()]),
}


def main() -> None:
    """Measures what is asked for, and prints each table when it is there."""
    parser = argparse.ArgumentParser(prog="measure", description="Measures budgets.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; else all")
    parser.add_argument("--envoys", type=int, nargs="+", default=[1, 4], help="how many spend at once")
    parser.add_argument("--names", type=int, default=100_000, help="forged ones")
    parser.add_argument(
        "--customers", type=int, nargs="+", default=[1, 1_000, 100_000, 1_000_000], help="of the service"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(unknown)}")
    if shutil.which("wrk") is None:
        parser.error("no wrk, which sends the calls: please install it")
    load = os.getloadavg()[0]
    for part in options.parts or PARTS:
        for text in PARTS[part](options):
            print(text, flush=True)
    print(heading(WORKERS, load))


if __name__ == "__main__":
    main()
