"""An Envoy before a scripted upstream, and what one call through it looks like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from ..envoy import Envoy, Row
from ..upstream import Request, Response, Upstream
from .dialects import Dialect


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
