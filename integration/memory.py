"""What a body of 50 MB adds to Envoy's memory, beside one of 2 KB, in each coding.

A fresh Envoy of one worker for each call, with the filter and without, so that nothing is left over
from the one before. First some small calls of the same kind, so that what is made once is there;
then the call. Meanwhile the process's resident memory is read from `/proc`. Prints Markdown:

    python -m integration.memory [--megabytes 50]
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx

from .bench import TENANT, USAGE, Measured, about, table
from .bootstrap import Setup
from .codings import coding_of
from .upstream import Response, Upstream


@dataclass(frozen=True)
class Body:
    """A call with one long body: its answer's, or else its request's."""

    name: str
    size: int
    coding: str = ""
    stream: bool = False
    asked: bool = False

    def answer(self) -> Response:
        """The answer, coded."""
        pieces = _pieces(SMALL if self.asked else self.size, stream=self.stream)
        # A provider flushes each event of a stream; here, each piece of some hundred.
        steps = list(coding_of(self.coding, pieces, flush=self.stream))
        kind = "text/event-stream" if self.stream else "application/json"
        coding = ("content-encoding", self.coding or "identity")
        return Response(steps, headers=[("content-type", kind), coding])

    def request(self) -> bytes:
        """The request."""
        said = "".join(_words(self.size)) if self.asked else "hello"
        messages = [{"role": "user", "content": said}]
        asked = {"messages": messages, "model": MODEL, "stream": self.stream}
        if self.stream:
            # Who asks for the usage gets all of the stream.
            asked["stream_options"] = {"include_usage": True}
        return json.dumps(asked).encode()


class Peak(threading.Thread):
    """Looks at an Envoy's memory, all the time, and keeps the most."""

    def __init__(self, envoy: Measured) -> None:
        super().__init__(daemon=True)
        self.envoy, self.most, self._over = envoy, 0.0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(LOOK):
            self.most = max(self.most, self.envoy.memory())

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=50)
    large = parser.parse_args().megabytes * 1_000_000
    bodies = [Body("request, JSON", SMALL, asked=True)]
    for stream in (False, True):
        bodies += [Body("answer, " + ("SSE" if stream else "JSON"), SMALL, c, stream) for c in CODINGS]
    rows = [["body", "coding", "bytes", "coded", "bare: more", "before", "at most", "more", "after"]]
    for body in bodies:
        for size in (SMALL, large):
            sized = replace(body, size=size)
            response = sized.answer()
            request = sized.request()
            bare, most, _ = _measure(sized, request, response, None)
            before, peak, after = _measure(sized, request, response, TENANT)
            wire = len(request) if body.asked else len(response.body())
            cells = [f"{mb:.1f}" for mb in (most - bare, before, peak, peak - before, after)]
            rows.append([body.name, body.coding or "none", f"{size:,}", f"{wire:,}", *cells])
            print("memory:", *rows[-1], file=sys.stderr, flush=True)
    print(f"{about()}\n\n{table(rows, texts=2)}")


def _measure(
    body: Body, request: bytes, response: Response, plugin: dict[str, Any] | None
) -> tuple[float, float, float]:
    """Resident MB before the call, at most while it ran, and after it."""
    small = replace(body, size=SMALL)
    asked, answer = small.request(), small.answer()
    with Upstream(lambda _: answer) as upstream:
        upstream.script(response, "measured")
        with Measured(Setup(upstreams={"upstream": upstream.port}, plugin=plugin)) as envoy:
            for _ in range(WARM_UP):
                _call(envoy, asked, "small", answer)
            before = envoy.memory()
            with Peak(envoy) as peak:
                _call(envoy, request, "measured", response)
            time.sleep(REST)
            after = envoy.memory()
            if plugin is not None and envoy.row("measured")["usage"] != "reported":
                raise SystemExit(f"{body}: the usage was not read: {envoy.row('measured')}")
    return before, max(before, after, peak.most), after


def _call(envoy: Measured, request: bytes, name: str, expected: Response) -> None:
    headers = {"x-replay-id": name, "x-tenant-id": "acme", "content-type": "application/json"}
    url = f"{envoy.url}/v1/chat/completions"
    with httpx.stream("POST", url, content=request, headers=headers, timeout=PATIENCE) as answer:
        came = sum(len(piece) for piece in answer.iter_raw())
    if came != len(expected.body()):
        raise SystemExit(f"{came} bytes came of {len(expected.body())}")


def _words(size: int) -> Iterator[str]:
    """Text of about so many bytes, that packs as text does."""
    dice = random.Random(size)
    while size > 0:
        some = " ".join(dice.choices(KNOWN, k=min(2_000, size // 6 + 1)))
        size -= len(some)
        yield some


def _pieces(size: int, *, stream: bool) -> Iterator[bytes]:
    """An answer of about so many bytes, in pieces."""
    end = {"model": MODEL, "usage": USAGE}
    if not stream:
        yield b'{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"'
        yield from (text.encode() for text in _words(size))
        yield f'"}}}}],{json.dumps(end)[1:]}'.encode()
        return
    for text in _words(size // EVENT_TIMES):
        yield b"".join(EVENT % word.encode() for word in text.split())
    yield f"data: {json.dumps({**end, 'choices': []})}\n\ndata: [DONE]\n\n".encode()


KNOWN = ["".join(random.Random(n).choices("etaoinshrdlu", k=2 + n % 8)) for n in range(4_000)]
MODEL = "gpt-4o-mini-2024-07-18"
CODINGS = ("", "gzip", "br", "zstd")
SMALL = 2_000
EVENT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%b "}}]}\n\n'
EVENT_TIMES = 15
"""How many times its text a stream of words is."""
WARM_UP = 20
LOOK = 0.002
REST = 0.3
PATIENCE = 120.0
"""Seconds."""


if __name__ == "__main__":
    main()
