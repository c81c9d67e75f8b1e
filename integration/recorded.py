"""Recorded exchanges, as far as they go: what a record leaves out is made up so that it can be replayed.

Records come from many sources. Nothing is believed but the bytes: whether a body is compressed is tried,
lengths and framing are made anew, and what a record does not say has a default.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import brotli
import httpx
import zstandard

from .upstream import Response

Json = dict[str, Any]
Pairs = list[tuple[str, str]]

PAUSE = 0.0005
"""Seconds between two writes, so that Envoy reads them apart."""
SINGLE = 256
"""So many bytes at the end of a body, where usage stands, are sent one by one; and a short one wholly."""


def whole(body: bytes, _: random.Random) -> list[int]:
    """No cuts."""
    return []


def at_random(body: bytes, rng: random.Random) -> list[int]:
    """A few cuts."""
    return sorted(rng.sample(range(1, len(body)), min(rng.randint(1, 12), len(body) - 1)))


def byte_by_byte(body: bytes, rng: random.Random) -> list[int]:
    """A cut at every byte, of a long body at every one of its end, and a few before."""
    start = max(1, len(body) - SINGLE)
    return sorted({*at_random(body, rng), *range(start, len(body))})


Cuts = Callable[[bytes, random.Random], list[int]]


@dataclass(frozen=True)
class Delivery:
    """How all exchanges are sent once."""

    name: str
    cuts: Cuts
    http2: bool = False


@dataclass(frozen=True)
class Exchange:
    """A recorded exchange with its expectation. `number` is its own in this run."""

    recorded: Json
    expected: Json
    number: int
    source: str = ""

    @property
    def id(self) -> str:
        """What the record calls itself."""
        return str(self.recorded.get("id") or f"{self.source}#{self.number}")

    @property
    def group(self) -> tuple[str, str]:
        """Whose call it was, and which."""
        return str(self.recorded.get("provider") or "?"), str(self.recorded.get("api") or "?")

    @property
    def method(self) -> str:
        """The method of the request."""
        return str(self.recorded.get("method") or "POST").upper()

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.recorded.get("status") or 200)

    @cached_property
    def body(self) -> bytes:
        """The answer's body as it goes over the wire."""
        if self.status in (204, 304) or self.method == "HEAD":
            return b""
        return _bytes(self.recorded, "response_body")

    @cached_property
    def coding(self) -> str:
        """The answer's `content-encoding`, where its body really has it."""
        said = dict(pairs(self.recorded.get("response_headers"))).get("content-encoding", "")
        stored = str(self.recorded.get("body_state") or "").startswith("stored-decompressed")
        is_coded = not stored and decoded(said, self.body) is not None
        return said if is_coded else ""

    @cached_property
    def told(self) -> list[str]:
        """The ids of work that can be asked for again, in the answer."""
        body = decoded(self.coding, self.body) or b""
        return sorted({found[1].decode() for found in AGAIN.finditer(body)})

    @property
    def is_repeat(self) -> bool:
        """Whether it asks for work that was told by the answer to the call that did it."""
        body = decoded(self.coding, self.body) or b""
        return self.method == "GET" and BACKGROUND.search(body) is None

    def response(self, delivery: Delivery) -> Response:
        """The recorded response, with its framing made new."""
        edges = [0, *self._cuts(delivery), len(self.body)]
        pieces = [self.body[start:end] for start, end in pairwise(edges)]
        steps = [step for piece in pieces for step in (piece, PAUSE)] if len(pieces) > 1 else pieces
        headers = [
            (name, value)
            for name, value in pairs(self.recorded.get("response_headers"))
            if name not in FRAMING and (name != "content-encoding" or self.coding)
        ]
        is_empty = not self.body and self.status in (204, 304)
        return Response(steps, status=self.status, headers=headers, chunked=len(pieces) > 1 and not is_empty)

    def request(self, url: str, delivery: Delivery, name: str) -> httpx.Request:
        """The recorded request, to `url`. An elided body is sent as it is.

        Without `content-length` where it is HTTP/2: with one, our upstream may answer before the
        stream's end was sent, which this client takes for an error.
        """
        host = placeholders(str(self.recorded.get("provider_host") or "provider.example"))
        headers = [(k, v) for k, v in pairs(self.recorded.get("request_headers")) if k not in FRAMING]
        headers = [(k, v) for k, v in headers if k not in OURS] + [("host", host), ("x-replay-id", name)]
        body = _bytes(self.recorded, "request_body")
        streamed = delivery.http2 or delivery.cuts is not whole
        return httpx.Request(
            self.method,
            url,
            headers=[(k.encode(), v.encode()) for k, v in headers],
            content=(_streamed(body) if streamed else body) if body or self.method == "POST" else None,
            extensions={"target": target(str(self.recorded.get("path") or "/")).encode()},
        )

    def _cuts(self, delivery: Delivery) -> list[int]:
        if len(self.body) < 2:
            return []
        return delivery.cuts(self.body, random.Random(f"{self.id}/{delivery.name}"))


async def _streamed(body: bytes) -> AsyncIterator[bytes]:
    yield body


def pairs(headers: Any) -> Pairs:
    """Headers as names in small letters and values, whether a record has a map, lists or pairs of them."""
    items = headers.items() if isinstance(headers, dict) else (headers or [])
    found: Pairs = []
    for name, value in items:
        values = value if isinstance(value, list) else [value]
        for text in values:
            name, text = str(name).strip().lower(), str(text).strip()
            if NAME.fullmatch(name) and text.isprintable():
                found.append((name, text))
    return found


def placeholders(text: str) -> str:
    """Names where the recording has `<PLACEHOLDERS>`: no client can send those."""
    return re.sub(r"<([\w-]+)>", lambda found: found[1].lower().replace("_", "-"), text)


def target(path: str) -> str:
    """The path and the query of a request, without the host that some records have before it."""
    path = placeholders(re.sub(r"^https?://[^/?#]*", "", path))
    path = path if path.startswith("/") else f"/{path}"
    return "".join(c if "!" <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode()) for c in path)


def decoded(coding: str, body: bytes) -> bytes | None:
    """The body without its coding, as far as it goes; `None` where it has another."""
    try:
        match coding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip" | "deflate":
                return zlib.decompressobj(wbits=47).decompress(body)
            case "br":
                return brotli.Decompressor().process(body)
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except (zlib.error, brotli.error, zstandard.ZstdError):
        pass
    return None


def _bytes(recorded: Json, name: str) -> bytes:
    coded, plain = recorded.get(f"{name}_b64"), recorded.get(name)
    if coded:
        return base64.b64decode(coded)
    return (plain if isinstance(plain, str) else json.dumps(plain) if plain else "").encode()


def load(directory: Path, only: str = "") -> list[Exchange]:
    """All exchanges. One without an expectation is replayed, and nothing is expected of it."""
    expected = {row["id"]: row for row in _lines(directory / "expected.jsonl.gz")}
    exchanges: list[Exchange] = []
    for file in sorted(directory.glob("*.jsonl.gz")):
        if file.name == "expected.jsonl.gz":
            continue
        for recorded in _lines(file):
            if only in str(recorded.get("id", "")) or only == recorded.get("api"):
                its = expected.get(recorded.get("id"), {})
                exchanges.append(Exchange(recorded, its, len(exchanges), file.name.partition(".")[0]))
    return [exchange for exchange in exchanges if exchange.status >= 200]


def _lines(file: Path) -> Iterator[Json]:
    with gzip.open(file, "rt") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def rounds(exchanges: list[Exchange]) -> list[list[Exchange]]:
    """The exchanges in as many parts that no part tells of the same work twice: it counts once."""
    met: Counter[str] = Counter()
    parts: list[list[Exchange]] = [[]]
    for exchange in exchanges:
        at = max((met[id] for id in exchange.told), default=0)
        met.update({id: at + 1 - met[id] for id in exchange.told})
        while len(parts) <= at:
            parts.append([])
        parts[at].append(exchange)
    return parts


NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
AGAIN = re.compile(rb'"id"\s*:\s*"((?:resp|run|v1)_[^"]+)"')
BACKGROUND = re.compile(rb'"background"\s*:\s*true|"object"\s*:\s*"thread\.run"|"steps"\s*:')

FRAMING = {
    "content-length",
    "transfer-encoding",
    "connection",
    "proxy-connection",
    "host",
    "keep-alive",
    "upgrade",
    "expect",
    "te",
    "trailer",
    "http2-settings",
}
OURS = {"x-replay-id"}
