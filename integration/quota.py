"""A running quota service: started, waited for, asked, killed and started again, stopped.

    with Quota(customers) as quota:
        Envoy(Setup(upstreams={"llm": port, "quota": quota.port}, plugin=quota.plugin()))
        quota.report("costs?by=customer"); quota.ledger()

It keeps its ports and its database over a restart. `QUOTA` names another binary than cargo's.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from .bootstrap import LOCALHOST, ROOT, free_port
from .envoy import Metrics, parse_metrics
from .postgres import Postgres

SECRET, TOKEN = "the-gateways-secret", "the-admins-token"
READY_IN = 30.0
SEEN_IN = 10.0

EARLIER = {
    "v": 1,
    "ms": 900,
    "provider": "openai",
    "api": "openai.chat",
    "model": "gpt-5",
    "status": 200,
    "usage": "reported",
    "cost": 0,
    "prices": "v1",
    "decision": "pass",
    "leaves": {"input": 7, "output": 1},
}
"""A call as gateways report it."""


class QuotaFailed(Exception):
    """The service did not start; the message is the end of what it said."""


def binary() -> Path:
    """The service that `QUOTA` names, else the newer one of those that cargo has built."""
    named = os.environ.get("QUOTA")
    if named:
        found = shutil.which(named)
        if found is None:
            raise QuotaFailed(f"QUOTA={named} is not an executable")
        return Path(found)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [target / profile / "tollgate-quota" for profile in ("release", "debug")]
    there = [file for file in built if file.is_file()]
    if not there:
        raise QuotaFailed("no tollgate-quota: run `make quota`, or set QUOTA=/path/to/tollgate-quota")
    return max(there, key=lambda file: file.stat().st_mtime)


class Quota:
    """One quota service, with its files in a directory of its own."""

    def __init__(
        self,
        customers: dict[str, Any] | str,
        *,
        now: str | None = None,
        options: tuple[str, ...] = (),
        ports: tuple[int, int] = (0, 0),
        server: Postgres | None = None,
    ) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="tollgate-quota-")
        self.directory = Path(self._directory.name)
        self.config = self.directory / "customers.yaml"
        self.database = self.directory / "tollgate.db"
        self._server = server
        self.ready_in = READY_IN
        self.now = now
        """What time it is for the service when it starts, in RFC 3339, instead of now."""
        self.port, self.admin_port = (port or free_port() for port in ports)
        self.admin = f"http://{LOCALHOST}:{self.admin_port}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._seq = 0
        self.write(customers)

    def __enter__(self) -> Quota:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def step_back(self) -> None:
        """Lets the service run only where nothing else wants to, as if it had a machine of its own."""
        assert self._process is not None
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))

    def write(self, customers: dict[str, Any] | str) -> None:
        """Writes `customers.yaml`: a dict becomes YAML, text stays as it is."""
        text = customers if isinstance(customers, str) else yaml.safe_dump(customers, sort_keys=False)
        self.config.write_text(text)

    @property
    def place(self) -> str:
        """The address of its database."""
        return f"sqlite:{self.database}" if self._server is None else self._server.url

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    def reconcile(self, log: Path) -> str:
        """What `tollgate-quota reconcile` says of the access log of an Envoy that is gone."""
        command = [str(binary()), "reconcile", str(log), "--gone", "--config", str(self.config)]
        said = subprocess.run([*command, "--database", self.place], capture_output=True, text=True)
        if said.returncode:
            raise QuotaFailed(said.stdout + said.stderr)
        return said.stdout

    def start(self) -> None:
        """Starts the service and returns when it is ready."""
        command = [
            str(binary()),
            "serve",
            *("--config", str(self.config)),
            *("--database", self.place),
            *("--listen", f"{LOCALHOST}:{self.port}"),
            *("--admin", f"{LOCALHOST}:{self.admin_port}"),
            *(() if self.now is None else ("--now", self.now)),
            *self._options,
        ]
        environment = {**os.environ, "TOLLGATE_GATEWAY_SECRET": SECRET, "TOLLGATE_ADMIN_TOKEN": TOKEN}
        with (self.directory / "quota.log").open("ab") as log:
            # A group of its own: Ctrl-C is for us, and we stop it in order.
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=environment,
                process_group=0,
                # Python ignores SIGXFSZ, and so shall the service: a full disk is an error to it.
                restore_signals=False,
            )
        until = time.monotonic() + self.ready_in
        while not self._is_ready():
            if self._process.poll() is not None:
                raise QuotaFailed(f"the quota service ended with {self._process.returncode}:\n{self.log()}")
            if time.monotonic() > until:
                raise QuotaFailed(f"the quota service is not ready in {self.ready_in:.0f} s:\n{self.log()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def halt(self) -> None:
        """Ends it in order; it can be started again."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def stop(self) -> None:
        """Ends it and removes its files. Does nothing the second time."""
        self.halt()
        self._directory.cleanup()

    @staticmethod
    def plugin(**service: Any) -> dict[str, Any]:
        """The filter's configuration, with this service in the cluster `quota`. `unit` is beside it."""
        return {
            "tenant": [{"header": "x-tenant-id"}],
            "feature": [{"header": "x-feature"}],
            "unit": service.pop("unit", []),
            "strip": ["x-tenant-id", "x-feature"],
            "service": {"cluster": "quota", "secret": SECRET, **service},
        }

    def report(self, question: str) -> dict[str, Any]:
        """What `/v1/reports/` answers to the question: `costs?by=customer`, `margin`."""
        return json.loads(self._ask(f"/v1/reports/{question}"))

    def costs(self) -> dict[str, int]:
        """The nano-dollars of this month by customer; unknown and anonymous ones are ''."""
        lines = self.report("costs?by=customer&limit=10000")["lines"]
        return {line["customer"] or "": line["cost_nano_usd"] for line in lines}

    def sync(self, **ask: Any) -> dict[str, Any]:
        """What the service answers to an ask of a gateway that ended before the others began."""
        self._seq += 1
        whole = {"v": 1, "gateway": "an-earlier-one", "worker": 0, "seq": self._seq, **ask}
        headers = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
        url = f"http://{LOCALHOST}:{self.port}/v1/sync"
        request = urllib.request.Request(url, json.dumps(whole).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def use(self, customer: str, amount: int = 0, **call: Any) -> None:
        """Books an earlier call of a customer, which took `amount` of each of its budgets."""
        tenant = self.sync(tenants=[customer])["tenants"][0]
        charges = [
            {"budget": budget["id"], "window": budget["window"]["id"], "amount": amount, "beyond": amount}
            for budget in tenant["budgets"]
            if amount
        ]
        id_ = f"earlier-{self._seq}"
        began = int(time.time() * 1_000)
        call = {**EARLIER, "id": id_, "t": began, "tenant": customer, **call}
        self.sync(rows=[{"call": call, "charges": charges}])

    def metrics(self) -> Metrics:
        """The service's own numbers."""
        return parse_metrics(self._ask("/metrics"))

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What the database answers to a query."""
        if self._server is not None:
            return self._server.rows(query, *values)
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, values)]

    def ledger(self) -> dict[str, dict[str, Any]]:
        """The rows of the ledger by call."""
        return {row["call_id"]: row for row in self.rows("SELECT * FROM ledger")}

    def ledger_when(self, enough: Callable[[dict[str, dict[str, Any]]], bool]) -> dict[str, dict[str, Any]]:
        """The ledger, once enough stands in it."""
        until = time.monotonic() + SEEN_IN
        while not enough(ledger := self.ledger()):
            if time.monotonic() > until:
                raise TimeoutError(f"not in the ledger after {SEEN_IN:.0f} s; it has {len(ledger)} rows")
            time.sleep(0.05)
        return ledger

    def log(self) -> str:
        """The end of what the service said."""
        return "\n".join((self.directory / "quota.log").read_text(errors="replace").splitlines()[-15:])

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{LOCALHOST}:{self.port}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError):
            return False

    def _ask(self, path: str) -> str:
        request = urllib.request.Request(self.admin + path, headers={"authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
