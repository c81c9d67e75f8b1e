"""The configuration: refused with the path of the fault, replaced while calls are running."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..bootstrap import Route, Setup
from ..envoy import Envoy, EnvoyFailed
from ..upstream import Upstream
from .conftest import PLUGIN, Gateway, Gateways
from .dialects import OPENAI, USED

OURS = OPENAI.renamed("our-model")

FAULTS = {
    "tenants": {"tenants": []},
    "tenant[0].header": {"tenant": [{"header": 3}]},
    "tenant[1].capture": {"tenant": [{"header": "a"}, {"header": "b", "capture": "("}]},
    "anonymous": {"anonymous": "maybe"},
    "max_buffered": {"max_buffered": -1},
    "metrics.max_values.tenants": {"metrics": {"max_values": {"tenants": 3}}},
    "prices[0].rates.input": {"prices": [{"provider": "openai", "model": "m", "rates": {"input": "cheap"}}]},
}
"""A configuration by the path at which it is wrong."""


@pytest.mark.parametrize("path", FAULTS)
def test_envoy_does_not_start_and_says_where_the_fault_is(
    gateways: Gateways, upstream: Upstream, path: str
) -> None:
    with pytest.raises(EnvoyFailed) as refused, Envoy(Setup({"any": upstream.port}, FAULTS[path])):
        pass
    assert path in str(refused.value)


def test_a_configuration_that_is_not_json_is_refused(gateways: Gateways, upstream: Upstream) -> None:
    setup = Setup({"any": upstream.port}, '{"tenant": [')
    with pytest.raises(EnvoyFailed, match="line 1 column"), Envoy(setup):
        pass


def test_five_lines_are_enough(gateways: Gateways) -> None:
    gateway = gateways({"tenant": [{"header": "x-tenant-id"}]})
    assert gateway.ask(OPENAI, headers={"x-tenant-id": "acme"}).row["tenant"] == "acme"


def test_a_host_says_which_provider_it_is(gateways: Gateways) -> None:
    rule = {"host": "llm.internal", "provider": "mistral"}
    gateway = gateways({**PLUGIN, "providers": [rule]})
    assert gateway.ask(OPENAI, headers={"host": "llm.internal"}).row["provider"] == "mistral"
    assert gateway.ask(OPENAI, headers={"host": "api.groq.com"}).row["provider"] == "groq"


def test_a_cluster_says_which_provider_it_is(gateways: Gateways, upstream: Upstream) -> None:
    gateway = gateways(
        {**PLUGIN, "providers": [{"cluster": "pool", "provider": "mistral"}]},
        upstreams={"pool": upstream.port, "others": upstream.port},
        routes=[Route("pool", host="pool.example"), Route("others")],
    )
    assert gateway.ask(OPENAI, headers={"host": "pool.example"}).row["provider"] == "mistral"
    assert gateway.ask(OPENAI).row["provider"] == "openai"


def priced(dollars: str) -> dict[str, Any]:
    """A configuration with a price of our own for every input and output token."""
    rates = {"input": dollars, "output": dollars, "cache_read": dollars}
    return {**PLUGIN, "prices": [{"provider": "openai", "model": "our-model", "rates": rates}]}


@pytest.fixture
def replaceable(gateways: Gateways, upstream: Upstream, tmp_path: Path) -> Gateway:
    """An Envoy whose listener comes from a file; 125 tokens of `our-model` cost 125,000 there."""
    return gateways(priced("1"), lds=tmp_path / "listeners.json")


def replace(gateway: Gateway, plugin: dict[str, Any]) -> None:
    """Gives the running Envoy another configuration of the filter."""
    before = gateway.envoy.setup
    changed = Setup(before.upstreams, plugin, lds=before.lds, port=gateway.envoy.port)
    gateway.envoy.replace_listener(changed)


def cost_of_a_call(gateway: Gateway) -> int:
    """What a call costs now, on a new connection."""
    with httpx.Client(timeout=20) as client:
        seen = gateway.ask(OURS, client=client)
    assert seen.answer.status_code == 200
    assert seen.fields(*USED) == USED
    return int(seen.row["cost_nano_usd"])


def test_a_new_configuration_takes_over_under_traffic_without_losing_a_call(replaceable: Gateway) -> None:
    costs: list[int] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def traffic() -> None:
        while not stop.is_set():
            try:
                costs.append(cost_of_a_call(replaceable))
            except BaseException as failure:
                failures.append(failure)

    threads = [threading.Thread(target=traffic) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    replace(replaceable, priced("2"))
    until = time.monotonic() + 15
    while 250_000 not in costs and time.monotonic() < until:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set(costs) == {125_000, 250_000}
    assert cost_of_a_call(replaceable) == 250_000


def test_a_running_call_ends_at_the_price_it_began_with(replaceable: Gateway) -> None:
    gate = threading.Event()
    chunks = OURS.chunks()
    script = replaceable.upstream.script(OURS.stream([*chunks[:2], gate, *chunks[2:]]), uuid4().hex)
    url = replaceable.envoy.url + OPENAI.path
    body = OURS.body(stream=True)
    with httpx.stream("POST", url, json=body, headers={"x-replay-id": script}, timeout=20) as answer:
        arriving = answer.iter_raw()
        next(arriving)
        replace(replaceable, priced("2"))
        until = time.monotonic() + 10
        while cost_of_a_call(replaceable) != 250_000 and time.monotonic() < until:
            time.sleep(0.05)
        gate.set()
        list(arriving)
    assert replaceable.envoy.row(script)["cost_nano_usd"] == "125000"


def test_a_bad_new_configuration_leaves_the_old_one_at_work(replaceable: Gateway) -> None:
    replace(replaceable, {"tenants": []})
    until = time.monotonic() + 10
    while "tenants" not in replaceable.envoy.log() and time.monotonic() < until:
        time.sleep(0.05)
    assert "tenants" in replaceable.envoy.log()
    assert cost_of_a_call(replaceable) == 125_000
