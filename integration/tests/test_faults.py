"""What the worst moments leave behind: every call that the provider answered is in the ledger once,
or in the access log, from which `reconcile` books it; limits hold; nobody has to do anything."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..bootstrap import WASM, Setup
from ..envoy import Envoy
from ..postgres import Postgres, installed
from ..quota import Quota
from ..storm import request
from ..trap import trapping
from ..upstream import Request, Response, Upstream
from .dialects import DIALECTS
from .house import House, budget, customers
from .test_budgets_faults import overheard

OPENAI = DIALECTS[0]
LIMIT = 100


@dataclass
class Provider:
    """Answers, and keeps when."""

    answered: list[float] = field(default_factory=list)
    pause: float = 0.005
    """Seconds before the body of an answer."""

    def answer(self, _: Request) -> Response:
        """The same answer to everybody."""
        self.answered.append(time.monotonic())
        return OPENAI.json(before=[self.pause])


@dataclass
class Traffic:
    """Calls of some customers from some threads, until it ends."""

    url: str
    tenants: list[str]
    statuses: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Traffic:
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(at,)) for at in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _run(self, at: int) -> None:
        with httpx.Client(timeout=20) as client:
            while not self._ends.is_set():
                tenant = self.tenants[at % len(self.tenants)]
                at += 1
                try:
                    answer = client.post(
                        self.url + OPENAI.path, json=OPENAI.body(), headers={"x-tenant-id": tenant}
                    )
                    self.statuses[str(answer.status_code)] += 1
                except httpx.HTTPError:
                    self.statuses["broken"] += 1
                    time.sleep(0.02)


@dataclass
class Scene(House):
    """A house with its own provider."""

    provider: Provider = field(default_factory=Provider)

    def traffic(self, *tenants: str) -> Traffic:
        """Calls of these customers."""
        return Traffic(self.envoy.url, list(tenants))

    def call(self, tenant: str = "free-0") -> int:
        """The status of one more call."""
        headers = {"x-tenant-id": tenant}
        return self.client.post(self.envoy.url + OPENAI.path, json=OPENAI.body(), headers=headers).status_code

    def recovers(self, tenant: str = "free-0") -> None:
        """Returns once calls pass again by themselves, and are booked."""
        until = time.monotonic() + 25
        while self.call(tenant) != 200:
            assert time.monotonic() < until, "it does not recover"
            time.sleep(0.2)
        self.booked()

    def booked(self) -> dict[str, dict[str, Any]]:
        """The ledger, once it has exactly what the provider answered."""
        assert self.quota is not None
        until = time.monotonic() + 25
        while True:
            ledger = self.quota.ledger()
            cost = sum(row["cost"] or 0 for row in ledger.values())
            answered = sum(row["status"] == 200 for row in ledger.values())
            if answered == len(self.provider.answered):
                assert cost == answered * COST
                return ledger
            if time.monotonic() > until:
                raise TimeoutError(f"{answered} of {len(self.provider.answered)} are booked")
            time.sleep(0.1)

    def settled(self, tenant: str) -> dict[str, Any]:
        """The one balance of a customer."""
        assert self.quota is not None
        (balance,) = self.quota.rows("SELECT * FROM balance WHERE budget LIKE ?", f"{tenant}/%")
        assert balance["settled"] - balance["overrun"] + balance["on_loan"] + balance["suspense"] <= LIMIT
        return balance


COST = 27_000
"""Nano-dollars of the answer."""


@contextmanager
def scene(
    quota: Quota | None = None, *, ports: Any = None, setup: dict[str, Any] | None = None, **service: Any
) -> Iterator[Scene]:
    """An Envoy with two workers, a provider, and a quota service if none is given."""
    with ExitStack() as stack:
        quota = quota or stack.enter_context(Quota(customers()))
        provider = Provider()
        upstream = stack.enter_context(Upstream(provider.answer))
        plugin = Quota.plugin(**{"timeout_ms": 2_000, "sync_ms": 200, **service})
        upstreams = {"upstream": upstream.port, "quota": ports or quota.port}
        whole = Setup(**{"upstreams": upstreams, "plugin": plugin, "workers": 2, **(setup or {})})
        envoy = stack.enter_context(Envoy(whole))
        ours = Scene(envoy, upstream, quota=quota, provider=provider)
        stack.callback(ours.client.close)
        yield ours


# Who dies.


def test_a_killed_envoy_is_made_whole_from_its_access_log() -> None:
    with scene(sync_ms=60_000) as ours:
        assert ours.quota is not None
        for _ in range(LIMIT + 5):
            ours.call("hundred-0")
        with ours.traffic("free-0"):
            time.sleep(1.5)
            killed = time.monotonic()
            ours.envoy.kill()
        logged = {row["call_id"] for row in ours.envoy.rows() if row["status"] == 200}
        before = {row["call_id"] for row in passed(ours.quota)}
        assert logged - before, "something was not reported"
        ours.quota.reconcile(ours.envoy.access_log)
        ledger = passed(ours.quota)
        assert {row["call_id"] for row in ledger} == before | logged
        assert sum(row["cost"] for row in ledger) == len(ledger) * COST
        # What Envoy had not yet written to its log, it takes with it: here, a tenth of a second.
        unwritten = sum(at > killed - 0.3 for at in ours.provider.answered)
        assert 0 <= len(ours.provider.answered) - len(ledger) <= unwritten
        assert "restored now:       0," in ours.quota.reconcile(ours.envoy.access_log)
        assert ours.settled("hundred-0")["settled"] <= LIMIT


def test_a_worker_whose_vm_traps_is_replaced_and_its_calls_are_in_the_log(tmp_path: Path) -> None:
    wasm = trapping(WASM, "proxy_on_request_trailers", tmp_path / "traps.wasm")
    with scene(sync_ms=60_000, setup={"wasm": wasm, "workers": 1, "trailers": True}) as ours:
        assert ours.quota is not None
        for _ in range(3):
            for _ in range(10):
                assert ours.call("hundred-0") == 200
            assert with_trailers(ours.envoy.port, "hundred-0") == 503
            until = time.monotonic() + 20
            while ours.call("hundred-0") != 200:
                assert time.monotonic() < until, "Envoy gives the worker no other VM"
                time.sleep(0.1)
        assert any("vm_reload_success: 3" in line for line in ours.envoy.lost_vms())
        answered = len(ours.provider.answered)
        rows = ours.envoy.rows_when(lambda rows: sum(row["status"] == 200 for row in rows) == answered)
        assert rows
        ours.envoy.kill()
        ours.quota.reconcile(ours.envoy.access_log)
        ours.booked()
        balance = ours.settled("hundred-0")
        assert (balance["settled"], balance["overrun"]) == (answered, 0)


def with_trailers(port: int, tenant: str) -> int:
    """The status of a call whose request has trailers."""
    head, _, body = request(tenant).partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(b"\r\n".join([*lines, b"transfer-encoding: chunked", b"", b""]))
        client.sendall(b"%x\r\n%s\r\n0\r\nlast: word\r\n\r\n" % (len(body), body))
        return int(client.recv(64).split(b" ")[1])


def test_the_service_is_killed_again_and_again() -> None:
    with scene() as ours:
        assert ours.quota is not None
        with ours.traffic("free-0"):
            for _ in range(3):
                time.sleep(0.5)
                ours.quota.kill()
                time.sleep(0.3)
                ours.quota.start()
            time.sleep(0.5)
        ours.recovers()


# What the service does.


def test_a_full_disk_loses_nothing() -> None:
    with scene() as ours:
        assert ours.quota is not None
        files_up_to(ours.quota, "32768")
        with ours.traffic("free-0"):
            time.sleep(2)
        before = len(ours.quota.ledger())
        files_up_to(ours.quota, "unlimited")
        ours.recovers()
        assert before < len(ours.provider.answered)


def files_up_to(quota: Quota, size: str) -> None:
    """Lets no file of the service grow beyond so many bytes."""
    command = ["prlimit", "--pid", str(quota.pid), f"--fsize={size}:unlimited"]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("days", [1, -1], ids=["ahead", "back"])
def test_the_services_clock_jumps(days: int) -> None:
    now = ["2026-11-20T12:00:00Z", f"2026-11-{20 + days}T12:00:00Z"]
    with Quota(customers(), now=now[0]) as quota, scene(quota, on_failure="refuse") as ours:
        for _ in range(40):
            assert ours.call("hundred-0") == 200
        quota.halt()
        quota.now = now[1]
        quota.start()
        with ours.traffic("hundred-0"):
            time.sleep(3)
        assert len(ours.provider.answered) <= LIMIT
        ours.booked()
        assert ours.settled("hundred-0")["settled"] == len(ours.provider.answered)


def test_batches_that_come_twice_late_and_out_of_order_count_once() -> None:
    with Quota(customers()) as quota:
        asks: list[Request] = []

        def between(ask: Request) -> Response:
            """Sends each ask twice, and now and then an older one after it."""
            asks.append(ask)
            answer = overheard(quota, ask)
            again = overheard(quota, ask)
            assert again.body() == answer.body()
            if len(asks) % 3 == 0:
                assert overheard(quota, asks[len(asks) // 2]).status == 409
            # Now and then the answer is lost.
            return Response(status=None) if len(asks) % 5 == 0 else answer

        with Upstream(between) as proxy, scene(quota, ports=proxy.port, on_failure="refuse") as ours:
            with ours.traffic("hundred-0", "free-0"):
                time.sleep(4)
            ours.booked()
            assert ours.settled("hundred-0")["overrun"] == 0
            assert sum(row["customer"] == "hundred-0" for row in passed(quota)) <= LIMIT


def passed(quota: Quota) -> list[dict[str, Any]]:
    """The calls that were answered."""
    return [row for row in quota.ledger().values() if row["status"] == 200]


# What happens under load.


def test_two_gateways_of_one_name_share_a_limit() -> None:
    with Quota(customers()) as quota, scene(quota) as one, scene(quota) as two:
        with one.traffic("hundred-0"), two.traffic("hundred-0"):
            time.sleep(3)
        answered = len(one.provider.answered) + len(two.provider.answered)
        assert 0.9 * LIMIT <= answered <= LIMIT
        quota.ledger_when(lambda _: len(passed(quota)) == answered)
        assert one.settled("hundred-0")["settled"] == answered
        assert len({row["gateway"] for row in quota.ledger().values()}) == 2


def test_the_filter_is_configured_anew_under_load(tmp_path: Path) -> None:
    with scene(setup={"lds": tmp_path / "listeners.json"}) as ours:
        before = ours.envoy.setup
        assert isinstance(before.plugin, dict)
        with ours.traffic("hundred-0", "free-0") as traffic:
            for series in (200, 300, 400):
                time.sleep(1)
                plugin = {**before.plugin, "metrics": {"max_series": series}}
                ours.envoy.replace_listener(replace(before, plugin=plugin, port=ours.envoy.port))
            time.sleep(2)
        ours.booked()
        assert ours.settled("hundred-0")["settled"] <= LIMIT
        assert traffic.statuses["200"] == len(ours.provider.answered)
        assert ours.envoy.lost_vms() == []


def test_a_window_ends_under_load() -> None:
    with scene() as ours:
        assert ours.quota is not None
        ours.quota.halt()
        ours.quota.now = "2026-11-23T22:59:55Z"
        ours.quota.start()
        with ours.traffic("daily-0", "free-0"):
            time.sleep(9)
        ours.booked()
        windows = ours.quota.rows("SELECT settled, overrun FROM balance WHERE budget LIKE ?", "daily-0/%")
        assert windows == [{"settled": 5, "overrun": 0}] * 2


# Revocation.


@pytest.mark.parametrize("change", ["suspended", "lower", "removed"])
def test_what_is_lent_is_called_back(change: str) -> None:
    file = customers()
    with Quota(file) as quota, scene(quota, unknown="refuse", sync_ms=1_000) as ours:
        with ours.traffic("rich-0", "free-0") as traffic:
            time.sleep(3)
            quota.write(changed(file, change))
            began = time.monotonic()
            time.sleep(8)
            # After eight seconds no call of it passes any more.
            before = Counter(row["tenant"] for row in ours.envoy.rows() if row["status"] == 200)
            assert time.monotonic() - began < 9
            time.sleep(1.5)
            after = Counter(row["tenant"] for row in ours.envoy.rows() if row["status"] == 200)
            assert after["rich-0"] == before["rich-0"] > 0
            assert after["free-0"] > before["free-0"]
        refused = {"suspended": "403", "removed": "403", "lower": "429"}[change]
        assert traffic.statuses[refused] > 0
        until = time.monotonic() + 20
        while lent(quota):
            assert time.monotonic() < until, "it is not given back"
            time.sleep(0.2)


def changed(file: dict[str, Any], change: str) -> dict[str, Any]:
    """The file after the change."""
    file = json.loads(json.dumps(file))
    (rich,) = (one for one in file["customers"] if one["id"] == "rich-0")
    if change == "suspended":
        rich["suspended"] = True
    elif change == "removed":
        file["customers"].remove(rich)
    else:
        rich["budgets"] = [budget(usd="0.000001")]
    return file


def lent(quota: Quota) -> int:
    """What gateways have of the customer's budget."""
    (balance,) = quota.rows("SELECT on_loan FROM balance WHERE budget LIKE ?", "rich-0/%")
    return balance["on_loan"]


# Several replicas on PostgreSQL.


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """One server for these tests."""
    if installed() is None:
        pytest.skip("PostgreSQL is not installed (`make postgres` installs it)")
    with Postgres() as running:
        yield running


def test_replicas_and_their_database_may_be_killed_under_load(server: Postgres) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(Quota(customers(), server=server)) for _ in range(2))
        ours = stack.enter_context(scene(one, ports=[one.port, two.port]))
        with ours.traffic("hundred-0", "free-0") as traffic:
            for replica in (one, two):
                time.sleep(0.7)
                replica.kill()
                time.sleep(0.7)
                replica.start()
            server.kill()
            time.sleep(0.5)
            server.start()
            time.sleep(1)
        assert traffic.statuses["broken"] == 0
        ours.recovers()
        assert ours.settled("hundred-0")["settled"] <= LIMIT + ours.unleased()
