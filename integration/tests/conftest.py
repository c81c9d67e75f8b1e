"""What the tests share: one upstream, and Envoys that are started once for each configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..bootstrap import WASM, Setup
from ..envoy import Envoy, Row
from ..standin import Standin
from ..upstream import Request, Response, Upstream
from .dialects import DIALECTS, Dialect

PLUGIN = {
    "tenant": [{"header": "x-tenant-id"}],
    "feature": [{"header": "x-feature"}],
    "strip": ["x-tenant-id"],
}
"""The configuration of a test that asks for nothing else."""


@dataclass(frozen=True)
class Exchange:
    """What one call looked like: to the client, to the upstream, in the access log."""

    answer: httpx.Response
    request: Request | None
    row: Row

    def fields(self, *names: str) -> dict[str, Any]:
        """Some fields of the row."""
        return {name: self.row[name] for name in names}


@dataclass
class Gateway:
    """An Envoy with the filter, and the upstream behind it."""

    envoy: Envoy
    upstream: Upstream
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=20))

    def call(self, path: str, body: Any, answer: Response, **options: Any) -> Exchange:
        """Makes a call that gets this answer, and waits until it stands in the access log."""
        script = self.upstream.script(answer, uuid4().hex)
        headers = [("x-replay-id", script), *options.pop("headers", {}).items()]
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        client = options.pop("client", self.client)
        seen = client.post(self.envoy.url + path, headers=headers, **content, **options)
        arrived = (r for r in self.upstream.requests if r.header("x-replay-id") == script)
        return Exchange(seen, next(arrived, None), self.envoy.row(script))

    def ask(self, dialect: Dialect, *, stream: bool = False, **options: Any) -> Exchange:
        """Makes a call in a dialect; its usual answer, unless `answer` is another."""
        path = dialect.stream_path if stream else dialect.path
        answer = options.pop("answer", None) or (dialect.stream() if stream else dialect.json())
        body = options.pop("body", None)
        return self.call(path, dialect.body(stream=stream) if body is None else body, answer, **options)


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


@pytest.fixture(params=DIALECTS, ids=str)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each dialect in turn."""
    return request.param


@pytest.fixture(params=[False, True], ids=["json", "stream"])
def stream(request: pytest.FixtureRequest) -> bool:
    """JSON and a stream."""
    return request.param


MODE_TENANTS = [{"header": "x-tenant-id"}, {"body": "/user"}]
