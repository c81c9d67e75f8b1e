"""An Envoy that is told to end: drained first, it leaves nothing unsaid; at once, the rest stands in its
access log."""

from __future__ import annotations

import threading
import time
import urllib.request
from typing import Any

from .test_faults import Scene, scene

FRESH = 3.0
"""Seconds in which what has ended is reported."""


def settled(ours: Scene, ledger: dict[str, dict[str, Any]]) -> None:
    """The budget has counted each call of the ledger once."""
    passed = sum(row["customer"] == "hundred-0" for row in ledger.values())
    balance = ours.settled("hundred-0")
    assert (balance["settled"], balance["overrun"]) == (passed, 0)


def test_after_a_drain_of_four_seconds_nothing_is_left_unsaid() -> None:
    with scene(sync_ms=1_000) as ours:
        for _ in range(20):
            assert ours.call("hundred-0") == 200
        ours.provider.pause = 1.0
        last = threading.Thread(target=ours.call, args=("hundred-0",))
        last.start()
        time.sleep(0.3)
        drain = urllib.request.Request(f"{ours.envoy.admin}/drain_listeners?graceful", method="POST")
        urllib.request.urlopen(drain, timeout=10).close()
        last.join()
        time.sleep(FRESH + 1)
        ours.envoy.terminate()
        settled(ours, ours.booked())
        assert ours.quota is not None
        assert "restored now:       0," in ours.quota.reconcile(ours.envoy.access_log)


def test_what_an_envoy_that_ends_at_once_did_not_say_is_in_its_log() -> None:
    with scene(sync_ms=60_000) as ours:
        for _ in range(60):
            assert ours.call("hundred-0") == 200
        ours.envoy.terminate()
        assert ours.quota is not None
        assert len(ours.quota.ledger()) < len(ours.provider.answered), "something was not reported"
        ours.quota.reconcile(ours.envoy.access_log)
        settled(ours, ours.booked())
        assert "restored now:       0," in ours.quota.reconcile(ours.envoy.access_log)
