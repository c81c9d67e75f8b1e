"""What the tests share: one upstream, and Envoys that are started once for each configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from ..bootstrap import WASM, Setup
from ..envoy import Envoy
from ..quota import Quota, QuotaFailed, binary
from ..standin import Standin
from ..upstream import Upstream
from .dialects import DIALECTS, Dialect
from .gateway import Gateway
from .house import PLANS, House, Someone, customers, opened

PLUGIN = {
    "tenant": [{"header": "x-tenant-id"}],
    "feature": [{"header": "x-feature"}],
    "strip": ["x-tenant-id"],
}
"""The configuration of a test that asks for nothing else."""


class Gateways:
    """Starts Envoys, one for each configuration, and keeps them for the tests to come."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._running: dict[str, Gateway] = {}

    def __call__(self, plugin: Any = None, **setup: Any) -> Gateway:
        """A gateway with this plugin configuration and these settings of `Setup`."""
        return self._start(PLUGIN if plugin is None else plugin, setup)

    def without_filter(self) -> Gateway:
        """An Envoy that only passes on."""
        return self._start(None, {})

    def _start(self, plugin: Any, setup: dict[str, Any]) -> Gateway:
        key = json.dumps([plugin, setup], default=str, sort_keys=True)
        if key not in self._running:
            setup = {"upstreams": {"upstream": self.upstream.port}, "plugin": plugin, **setup}
            envoy = Envoy(Setup(**setup)).__enter__()
            self._running[key] = Gateway(envoy, self.upstream)
        return self._running[key]

    def lost_vms(self) -> list[str]:
        """What the Envoys say of VMs that died."""
        return [line for gateway in self._running.values() for line in gateway.envoy.lost_vms()]

    def stop(self) -> None:
        """Stops every Envoy."""
        for gateway in self._running.values():
            gateway.client.close()
            gateway.envoy.stop()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """The providers' stand-in; what it answers can be scripted."""
    with Upstream(Standin().answer) as running:
        yield running


@pytest.fixture(scope="session")
def all_gateways(upstream: Upstream) -> Iterator[Gateways]:
    """Every Envoy of the session."""
    gateways = Gateways(upstream)
    try:
        yield gateways
    finally:
        gateways.stop()


@pytest.fixture
def gateways(all_gateways: Gateways) -> Iterator[Gateways]:
    """Starts or finds an Envoy. After each test, no worker may have lost its VM."""
    if not WASM.is_file() and "CI" not in os.environ:
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    yield all_gateways
    assert all_gateways.lost_vms() == []


@pytest.fixture
def gateway(gateways: Gateways) -> Gateway:
    """The Envoy of tests that ask for nothing special."""
    return gateways()


@pytest.fixture(params=[False, True], ids=["headers-go-on", "headers-held"])
def either_mode(request: pytest.FixtureRequest, gateways: Gateways) -> Gateway:
    """Both ways in which Envoy can be configured."""
    return gateways({**PLUGIN, "tenant": MODE_TENANTS, "hold_headers": request.param})


@pytest.fixture(scope="module")
def quota() -> Iterator[Quota]:
    """One service for most tests."""
    if not WASM.is_file():
        pytest.skip("no target/tollgate.wasm: run `make wasm`")
    try:
        binary()
    except QuotaFailed as failure:
        pytest.skip(str(failure))
    with Quota(customers()) as running:
        yield running


@pytest.fixture(scope="module")
def both(upstream: Upstream, quota: Quota) -> Iterator[dict[bool, House]]:
    """An Envoy in each mode."""
    with opened(upstream, quota) as one, opened(upstream, quota, hold=True) as other:
        yield {False: one, True: other}


@pytest.fixture(params=[False, True], ids=["headers-go-on", "headers-held"])
def house(request: pytest.FixtureRequest, both: dict[bool, House]) -> House:
    """Each in turn."""
    return both[request.param]


@pytest.fixture(scope="module")
def someone() -> Someone:
    """The next customer of a plan, whom no test has used."""
    numbers = {plan: count() for plan in PLANS}
    return lambda plan: f"{plan}-{next(numbers[plan])}"


@pytest.fixture(params=DIALECTS, ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each dialect in turn."""
    return request.param


@pytest.fixture(params=[False, True], ids=["json", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    """JSON and a stream."""
    return request.param


MODE_TENANTS = [{"header": "x-tenant-id"}, {"body": "/user"}]
