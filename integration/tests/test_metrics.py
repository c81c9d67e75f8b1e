"""What the admin port and the access log say: names, labels, sums and their bounds."""

from __future__ import annotations

import json
from uuid import uuid4

from ..bootstrap import FIELDS
from ..envoy import total
from ..upstream import Response
from .conftest import PLUGIN, Gateway, Gateways
from .dialects import OPENAI, Dialect


def test_a_call_is_counted_with_its_labels(gateway: Gateway, dialect: Dialect, stream: bool) -> None:
    tenant = f"tenant-{uuid4().hex[:8]}"
    headers = {"x-tenant-id": tenant, "x-feature": "search"}
    calls = [gateway.ask(dialect, stream=stream, headers=headers) for _ in range(3)]
    model = calls[0].row["model"]
    who = {"tenant": tenant, "feature": "search", "provider": dialect.provider, "model": model}
    metrics = gateway.envoy.metrics()
    assert total(metrics, "tollgate_requests_total", **who, outcome="ok") == 3
    kinds = {
        labels["kind"]: value
        for labels, value in metrics["tollgate_tokens_total"]
        if who.items() <= labels.items()
    }
    assert kinds == {"input": 180, "cache_read": 120, "output": 60, "reasoning": 15}
    cost = sum(int(seen.row["cost_nano_usd"]) for seen in calls)
    assert total(metrics, "tollgate_cost_nano_usd_total", **who) == cost


def test_outcomes_are_told_apart(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "anonymous": "refuse"})
    headers = {"x-tenant-id": "outcomes"}
    gateway.ask(OPENAI, headers=headers)
    gateway.ask(OPENAI, headers=headers, answer=Response([b"{}"], status=400))
    gateway.ask(OPENAI, headers=headers, answer=Response([b"{}"], status=500))
    gateway.ask(OPENAI)
    metrics = gateway.envoy.metrics()
    for outcome in ("ok", "client_error", "upstream_error"):
        assert total(metrics, "tollgate_requests_total", tenant="outcomes", outcome=outcome) == 1
    assert total(metrics, "tollgate_requests_total", outcome="refused") == 1


def test_unpriced_and_estimated_calls_and_unknown_paths_are_counted(gateway: Gateway) -> None:
    headers = {"x-tenant-id": "oddities"}
    before = total(gateway.envoy.metrics(), "tollgate_skipped_total")
    gateway.ask(OPENAI.renamed("no-such-model-7b"), headers=headers)
    cut = OPENAI.stream(OPENAI.chunks()[:3])
    gateway.ask(OPENAI, stream=True, headers=headers, answer=cut)
    gateway.call("/v1/models", {}, Response([b"{}"]), headers=headers)
    metrics = gateway.envoy.metrics()
    assert total(metrics, "tollgate_unpriced_total", tenant="oddities") == 1
    assert total(metrics, "tollgate_estimated_total", tenant="oddities") == 1
    assert total(metrics, "tollgate_skipped_total") == before + 1


def test_times_are_histograms_that_never_name_a_tenant(gateway: Gateway) -> None:
    gateway.ask(OPENAI, stream=True, headers={"x-tenant-id": "times"})
    metrics = gateway.envoy.metrics()
    for name in ("tollgate_ttft_ms", "tollgate_duration_ms"):
        assert total(metrics, f"{name}_count", provider="openai") > 0
        assert all("tenant" not in labels for labels, _ in metrics[f"{name}_bucket"])


def test_no_stat_shows_a_raw_name(gateway: Gateway) -> None:
    gateway.ask(OPENAI, headers={"x-tenant-id": "a.b:c/d", "x-feature": "é?".encode()})
    names = gateway.envoy.metrics().keys()
    assert "tollgate_requests_total" in names
    assert [name for name in names if "tenant" in name or "wasmcustom" in name] == []


def test_values_beyond_the_limit_are_counted_as_other(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "metrics": {"max_values": {"tenant": 3}}})
    for at in range(10):
        gateway.ask(OPENAI, headers={"x-tenant-id": f"tenant-{at}"})
    metrics = gateway.envoy.metrics()
    tenants = {labels["tenant"] for labels, _ in metrics["tollgate_requests_total"]}
    assert "other" in tenants
    assert len(tenants) <= 4
    assert total(metrics, "tollgate_requests_total") == 10
    assert gateway.envoy.rows()[-1]["tenant"] == "tenant-9", "the access log has no such limit"


def test_series_beyond_the_limit_lose_no_count(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "metrics": {"max_series": 100}}, workers=2)
    for at in range(40):
        gateway.ask(OPENAI, headers={"x-tenant-id": f"tenant-{at}"})
    metrics = gateway.envoy.metrics()
    assert total(metrics, "tollgate_requests_total") == 40
    assert total(metrics, "tollgate_tokens_total") == 40 * 125
    series = [labels for name in metrics if is_ours(name) for labels, _ in metrics[name]]
    assert len(series) <= 100
    assert {"tenant-0", "other"} <= {labels.get("tenant") for labels in series}


def is_ours(name: str) -> bool:
    """Whether a metric is Tollgate's; of a histogram, only one of its parts."""
    return name.startswith("tollgate_") and not name.endswith(("_bucket", "_sum"))


def test_every_field_stands_in_the_access_log(gateway: Gateway) -> None:
    seen = gateway.ask(OPENAI, stream=True, headers={"x-tenant-id": "acme", "x-feature": "chat"})
    missing = {name for name in FIELDS if seen.row[name] is None}
    assert missing <= {"user", "budget", "hold", "provider_cost_nano_usd"}
    call = json.loads(seen.row["call"])
    assert isinstance(call, dict)
    nano = int(seen.row["cost_nano_usd"])
    assert seen.row["cost_usd"].rstrip("0") == f"{nano // 10**9}.{nano % 10**9:09d}".rstrip("0")


def test_only_the_fields_that_were_asked_for_are_written(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "access_log": ["tenant", "cost_nano_usd"]})
    row = gateway.ask(OPENAI, headers={"x-tenant-id": "acme"}).row
    assert {name for name in FIELDS if row[name] is not None} == {"tenant", "cost_nano_usd"}


def test_metrics_can_be_switched_off(gateways: Gateways) -> None:
    gateway = gateways({**PLUGIN, "metrics": {"enabled": False}})
    assert gateway.ask(OPENAI, headers={"x-tenant-id": "acme"}).row["usage"] == "reported"
    assert not [name for name in gateway.envoy.metrics() if is_ours(name)]
