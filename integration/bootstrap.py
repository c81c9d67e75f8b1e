"""The configuration of an Envoy with Tollgate in it, as Python dicts.

A `Setup` says what differs from one Envoy to the next; `render` turns it into a bootstrap that
Envoy reads as JSON. Ports are 0: the system chooses, and the admin port tells which they became.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
WASM = ROOT / "target" / "tollgate.wasm"
STATS_TAGS = ROOT / "envoy" / "stats-tags.yaml"
LOCALHOST = "127.0.0.1"

FIELDS = (
    "call_id tenant feature user provider api request_model model stream input_tokens "
    "cache_read_tokens cache_write_tokens output_tokens reasoning_tokens cost_nano_usd cost_usd "
    "provider_cost_nano_usd price_version usage decision budget hold ttft_ms attempts call"
).split()

TYPES = "type.googleapis.com/envoy.extensions"


@dataclass(frozen=True)
class Route:
    """Requests for `host` whose path starts with `prefix` go to `cluster`."""

    cluster: str
    host: str = "*"
    prefix: str = "/"
    answer: str | None = None
    """What Envoy answers itself, at once; it then needs no cluster."""
    retry_on: str | None = None
    """After which failures Envoy sends the request once more."""


@dataclass(frozen=True)
class Setup:
    """One Envoy: where it sends requests, and what stands in their way."""

    upstreams: dict[str, int | Sequence[int]]
    """Cluster name to port on this machine, or to several that take turns."""
    plugin: dict[str, Any] | str | None = None
    """Tollgate's configuration; a string is given to the filter as it is; `None`: no filter."""
    routes: Sequence[Route] = ()
    """Without any, everything goes to the first upstream."""
    wasm: Path = WASM
    stop_iteration: bool | None = None
    """Envoy's `allow_on_headers_stop_iteration`; by default what the plugin's `hold_headers` says."""
    filters: Sequence[dict[str, Any]] = ()
    """HTTP filters in front of Tollgate."""
    attempts: bool = False
    """Whether Envoy's router logs each attempt to Tollgate."""
    port: int = 0
    admin_port: int = 0
    workers: int = 1
    buffer_limit: int | None = None
    tls: dict[str, Any] | None = None
    """A `common_tls_context`, and whether a client certificate is required."""
    http3: bool = False
    upstream_http2: bool = False
    trailers: bool = False
    """Whether trailers of HTTP/1.1 requests are read."""
    lds: Path | None = None
    """Listeners are read from this file, and again whenever another file is moved over it."""


def render(setup: Setup, access_log: Path) -> dict[str, Any]:
    """The bootstrap. With `setup.lds`, the listener is in `listeners_file` instead."""
    resources: dict[str, Any] = {
        "clusters": [_cluster(name, ports, setup) for name, ports in setup.upstreams.items()]
    }
    dynamic: dict[str, Any] = {}
    if setup.lds is None:
        resources["listeners"] = [listener(setup, access_log)]
    else:
        watched = {"path": str(setup.lds.parent)}
        source = {"path": str(setup.lds), "watched_directory": watched}
        dynamic["dynamic_resources"] = {"lds_config": {"path_config_source": source}}
    if setup.plugin is not None:
        # They turn the filter's stat names into metrics with labels.
        dynamic["stats_config"] = {"stats_tags": yaml.safe_load(STATS_TAGS.read_text())}
    return {
        "node": {"id": "tollgate", "cluster": "tollgate"},
        "admin": {"address": _address(setup.admin_port)},
        "stats_flush_on_admin": True,
        "static_resources": resources,
        **dynamic,
    }


def listeners_file(setup: Setup, access_log: Path) -> dict[str, Any]:
    """What stands in the file that `setup.lds` names."""
    resource = {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        **listener(setup, access_log),
    }
    return {"version_info": "1", "resources": [resource]}


def listener(setup: Setup, access_log: Path) -> dict[str, Any]:
    """The one listener: HTTP/1.1 and HTTP/2, in clear or in TLS, or HTTP/3."""
    chain: dict[str, Any] = {"filters": [_connection_manager(setup, access_log)]}
    rendered: dict[str, Any] = {
        "name": "main",
        "address": _address(setup.port, udp=setup.http3),
        "filter_chains": [chain],
    }
    if setup.tls is not None and setup.http3:
        kind = f"{TYPES}.transport_sockets.quic.v3.QuicDownstreamTransport"
        quic = {"@type": kind, "downstream_tls_context": setup.tls}
        chain["transport_socket"] = {"name": "envoy.transport_sockets.quic", "typed_config": quic}
        rendered["udp_listener_config"] = {"quic_options": {}}
    elif setup.tls is not None:
        kind = f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": kind, **setup.tls},
        }
    if setup.buffer_limit is not None:
        rendered["per_connection_buffer_limit_bytes"] = setup.buffer_limit
    return rendered


def _connection_manager(setup: Setup, access_log: Path) -> dict[str, Any]:
    kind = f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    filters = list(setup.filters)
    if setup.plugin is not None:
        filters.append(_tollgate(setup, setup.plugin))
    logs = {"upstream_log": [_attempts(setup)]} if setup.attempts else {}
    filters.append(_filter("envoy.filters.http.router", "router.v3.Router", **logs))
    config = {
        "@type": kind,
        "stat_prefix": "main",
        "codec_type": "HTTP3" if setup.http3 else "AUTO",
        "access_log": [_access_log(access_log)],
        "route_config": {"name": "main", "virtual_hosts": _virtual_hosts(setup)},
        "http_filters": filters,
        **({"http_protocol_options": {"enable_trailers": True}} if setup.trailers else {}),
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": config}


def _tollgate(setup: Setup, plugin: dict[str, Any] | str) -> dict[str, Any]:
    form = "StringValue" if isinstance(plugin, str) else "Struct"
    stop = setup.stop_iteration
    if stop is None:
        stop = isinstance(plugin, dict) and plugin.get("hold_headers", False)
    config = {
        "name": "tollgate",
        "root_id": "tollgate",
        "vm_config": _vm(setup),
        "configuration": {"@type": f"type.googleapis.com/google.protobuf.{form}", "value": plugin},
        "failure_policy": "FAIL_RELOAD",
        "allow_on_headers_stop_iteration": stop,
    }
    return _filter("tollgate", "wasm.v3.Wasm", config=config)


def _vm(setup: Setup) -> dict[str, Any]:
    return {
        "vm_id": "tollgate",
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": str(setup.wasm)}},
    }


def _attempts(setup: Setup) -> dict[str, Any]:
    """The log of attempts: a plugin of the same VM, with no configuration of its own."""
    kind = f"{TYPES}.access_loggers.wasm.v3.WasmAccessLog"
    config = {"name": "tollgate-attempts", "root_id": "tollgate-attempts", "vm_config": _vm(setup)}
    return {"name": "envoy.access_loggers.wasm", "typed_config": {"@type": kind, "config": config}}


def _filter(name: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{TYPES}.filters.http.{kind}", **config}}


def _virtual_hosts(setup: Setup) -> list[dict[str, Any]]:
    routes = setup.routes or [Route(next(iter(setup.upstreams)))]
    hosts: dict[str, list[dict[str, Any]]] = {}
    for route in routes:
        rule: dict[str, Any] = {"match": {"prefix": route.prefix}}
        if route.answer is None:
            rule["route"] = {"cluster": route.cluster, "timeout": "0s"}
            if route.retry_on is not None:
                rule["route"]["retry_policy"] = {"retry_on": route.retry_on, "num_retries": 1}
        else:
            rule["direct_response"] = {"status": 200, "body": {"inline_string": route.answer}}
        hosts.setdefault(route.host, []).append(rule)
    return [
        {"name": f"host-{at}", "domains": [host], "routes": rules}
        for at, (host, rules) in enumerate(hosts.items())
    ]


def _cluster(name: str, ports: int | Sequence[int], setup: Setup) -> dict[str, Any]:
    every = [ports] if isinstance(ports, int) else ports
    endpoints = [{"endpoint": {"address": _address(port)}} for port in every]
    cluster: dict[str, Any] = {
        "name": name,
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "circuit_breakers": {"thresholds": [{"max_connections": 4096, "max_requests": 4096}]},
    }
    if setup.upstream_http2:
        options = f"{TYPES}.upstreams.http.v3.HttpProtocolOptions"
        http2 = {"@type": options, "explicit_http_config": {"http2_protocol_options": {}}}
        name_of_options = options.removeprefix("type.googleapis.com/")
        cluster["typed_extension_protocol_options"] = {name_of_options: http2}
    if setup.buffer_limit is not None:
        cluster["per_connection_buffer_limit_bytes"] = setup.buffer_limit
    return cluster


def _access_log(path: Path) -> dict[str, Any]:
    lines = {name: f"%FILTER_STATE(wasm.tollgate.{name}:PLAIN)%" for name in FIELDS} | {
        "id": "%REQ(X-REPLAY-ID)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "path": "%REQ(:PATH)%",
        "host": "%REQ(:AUTHORITY)%",
        "protocol": "%PROTOCOL%",
    }
    kind = f"{TYPES}.access_loggers.file.v3.FileAccessLog"
    config = {"@type": kind, "path": str(path), "log_format": {"json_format": lines}}
    return {"name": "envoy.access_loggers.file", "typed_config": config}


def _address(port: int, *, udp: bool = False) -> dict[str, Any]:
    protocol = "UDP" if udp else "TCP"
    return {"socket_address": {"address": LOCALHOST, "port_value": port, "protocol": protocol}}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return probe.getsockname()[1]
