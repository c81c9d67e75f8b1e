"""A PostgreSQL of our own: made in a directory of its own, killed and started again, removed.

with Postgres() as server:
    Quota(customers, server=server)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .bootstrap import LOCALHOST, free_port

READY_IN = 30.0


def installed() -> Path | None:
    """Where the programs are: Debian's newest, else wherever `initdb` is."""
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (directory / "initdb").is_file():
            return directory
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """A server with one database, `quota`."""

    def __init__(self) -> None:
        found = installed()
        if found is None:
            raise FileNotFoundError("PostgreSQL is not installed (`make postgres` installs it)")
        self._bin = found
        self._directory = tempfile.TemporaryDirectory(prefix="tollgate-pg-")
        self._data = Path(self._directory.name) / "data"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgres://tollgate@{LOCALHOST}:{self._port}/quota"

    def __enter__(self) -> Postgres:
        directory = Path(self._directory.name)
        if os.geteuid() == 0:
            # It refuses to be run by root: its package has made a user for it.
            shutil.chown(directory, "postgres", "postgres")
        options = ["--auth=trust", "--username=tollgate", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", *options, "-D", str(self._data))
        self.start()
        self._run("psql", "--quiet", *self._client("postgres"), "--command", "CREATE DATABASE quota")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        self._directory.cleanup()

    def start(self) -> None:
        """Starts the server, and returns when it answers."""
        options = {"listen_addresses": LOCALHOST, "unix_socket_directories": "", "max_connections": "300"}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = ["postgres", "-D", str(self._data), "-p", str(self._port), *settings]
        until = time.monotonic() + READY_IN
        while True:
            # What a killed server has started ends a little later than the server.
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    self._command(*command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
                )
            ready = ["pg_isready", "-q", "-h", LOCALHOST, "-p", str(self._port)]
            if subprocess.run(self._command(*ready), cwd="/").returncode == 0:
                return
            if time.monotonic() > until:
                raise TimeoutError(f"PostgreSQL is not ready after {READY_IN:.0f} s")
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What the database answers to a query with `?` where the values go."""
        for value in values:
            text = str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"
            query = query.replace("?", text, 1)
        lines = f"SELECT row_to_json(line) FROM ({query}) AS line"
        said = self._run("psql", "--quiet", "-At", *self._client("quota"), "--command", lines)
        return [json.loads(line) for line in said.splitlines()]

    def _client(self, database: str) -> list[str]:
        return ["--no-psqlrc", "-h", LOCALHOST, "-p", str(self._port), "-U", "tollgate", "-d", database]

    def _command(self, program: str, *arguments: str) -> list[str]:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL"]
        return [*(user if os.geteuid() == 0 else []), str(self._bin / program), *arguments]

    def _run(self, program: str, *arguments: str) -> str:
        command = self._command(program, *arguments)
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
