"""Many calls at once. Bare HTTP/1.1: the client must not be what is slow."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from .bootstrap import LOCALHOST

CHAT = "/v1/chat/completions"
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 99}


def request(tenant: str, asked: dict[str, Any] = ASKED, path: str = CHAT, **headers: str) -> bytes:
    """One call, as it goes over the wire."""
    body = json.dumps(asked).encode()
    lines = [f"POST {path} HTTP/1.1", "host: llm", f"x-tenant-id: {tenant}", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def storm(ports: Sequence[int], calls: Iterable[bytes], at_once: int, ahead: int = 1) -> Counter[int]:
    """The statuses of the answers to these calls, made over so many connections, which go to the
    ports in turn. On each, `ahead` calls are sent before the answer to the first of them is read."""
    return asyncio.run(_storm(ports, iter(calls), at_once, ahead))


async def _storm(ports: Sequence[int], calls: Iterable[bytes], at_once: int, ahead: int) -> Counter[int]:
    statuses: Counter[int] = Counter()

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection(LOCALHOST, port)
        while some := list(islice(calls, ahead)):
            writer.write(b"".join(some))
            for _ in some:
                statuses[await _status(reader)] += 1
        writer.close()

    await asyncio.gather(*(client(ports[at % len(ports)]) for at in range(at_once)))
    return statuses


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, rest = head.partition(b"content-length: ")
    await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    return int(head.split(b" ", 2)[1])
