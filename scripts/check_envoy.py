"""Checks what a user loads from `envoy/`, with the programs that will load it.

Envoy itself takes the whole configuration, with the one of budgets too, and the filter of Istio's
EnvoyFilter; `promtool`, where it is installed, takes every expression. The labels are the same in
all files, and every metric that a rule or a panel reads is one that the filter writes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "envoy"
WASM = ROOT / "target" / "tollgate.wasm"

Config = dict[str, Any]


def main() -> int:
    """Runs all checks, and returns the exit code."""
    faults = [*labels(), *metrics(), *promtool(), *envoy()]
    for fault in faults:
        print(f"envoy/{fault}", file=sys.stderr)
    return 1 if faults else 0


def labels() -> Iterator[str]:
    """Faults of the places that must say the same as stats-tags.yaml."""
    tags = load("stats-tags.yaml")[0]
    if load("envoy.yaml")[0]["stats_config"]["stats_tags"] != tags:
        yield "envoy.yaml: stats_tags are not those of stats-tags.yaml"
    proxy = next(d for d in load("envoy-gateway.yaml") if d["kind"] == "EnvoyProxy")
    patches = proxy["spec"]["bootstrap"]["jsonPatches"]
    if [p["value"] for p in patches if "stats_tags" in p["path"]] != tags:
        yield "envoy-gateway.yaml: the tags are not those of stats-tags.yaml"
    names = ", ".join(tag["tag_name"] for tag in tags)
    if f"extraStatTags: [{names}]" not in (FILES / "istio-wasmplugin.yaml").read_text():
        yield f"istio-wasmplugin.yaml: extraStatTags are not [{names}]"


def metrics() -> Iterator[str]:
    """Metrics that are read and never written."""
    written = set(re.findall(r"tollgate_[a-z_]+", (ROOT / "src" / "metrics.rs").read_text()))
    for file, expression in expressions():
        for name in re.findall(r"(?<![\w:*])tollgate_[a-z_]+", expression):
            if name.removesuffix("_bucket") not in written:
                yield f"{file}: no metric {name}: {expression}"


def promtool() -> Iterator[str]:
    """What `promtool` says about the rules, and the dashboard's expressions made into rules."""
    program = shutil.which("promtool")
    if program is None:
        print("rules and dashboard: expressions NOT CHECKED, there is no promtool")
        return
    rules = [{"record": f"panel:{i}", "expr": e} for i, (_, e) in enumerate(expressions())]
    with tempfile.TemporaryDirectory() as work:
        panels = Path(work) / "panels.yaml"
        panels.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
        files = [str(FILES / "prometheus-rules.yaml"), str(panels)]
        done = subprocess.run([program, "check", "rules", *files], capture_output=True, text=True)
    if done.returncode != 0:
        yield f"prometheus-rules.yaml or grafana-dashboard.json: {done.stdout}{done.stderr}"
    else:
        print("rules and dashboard: promtool takes all expressions")


def envoy() -> Iterator[str]:
    """What Envoy says about each of the configurations."""
    whole = load("envoy.yaml")[0]
    yield from refused(whole, "envoy.yaml")
    patch = load("istio-envoyfilter.yaml")[0]["spec"]["configPatches"][0]["patch"]["value"]
    chain = whole["static_resources"]["listeners"][0]["filter_chains"][0]
    filters = chain["filters"][0]["typed_config"]["http_filters"]
    filters[0]["typed_config"]["config"]["configuration"]["value"] = load("budgets.yaml")[0]
    yield from refused(whole, "budgets.yaml")
    filters[0] = patch
    yield from refused(whole, "istio-envoyfilter.yaml")


def refused(config: Config, file: str) -> Iterator[str]:
    """Why Envoy does not take this configuration, with the built filter in it."""
    text = re.sub(r'"filename": "[^"]*\.wasm"', f'"filename": "{WASM}"', json.dumps(config))
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "envoy.json"
        path.write_text(text)
        command = [os.environ["ENVOY"], "--mode", "validate", "--config-path", str(path)]
        done = subprocess.run([*command, "--log-level", "error"], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        yield f"{file}: {done.stderr}"
    else:
        print(f"{file}: Envoy takes it")


def expressions() -> Iterator[tuple[str, str]]:
    """All PromQL, with the file it stands in; the dashboard's variables have values."""
    for group in load("prometheus-rules.yaml")[0]["groups"]:
        for rule in group["rules"]:
            yield "prometheus-rules.yaml", rule["expr"]
    for panel in json.loads((FILES / "grafana-dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            ranges = re.sub(r"\$__(rate_interval|range)", "5m", target["expr"])
            yield "grafana-dashboard.json", ranges.replace("$tenant", ".*")


def load(file: str) -> list[Any]:
    """The documents of a file."""
    return list(yaml.safe_load_all((FILES / file).read_text()))


if __name__ == "__main__":
    sys.exit(main())
