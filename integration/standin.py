"""A stand-in for OpenAI, Anthropic and Google, which keeps the truth of what it answered.

What was sent as usage is also written to a log of its own, one JSON line a call: the demo holds
Tollgate against it. As a command it serves until Ctrl-C:

    python -m integration.standin --port 8099 --log calls.jsonl
"""

from __future__ import annotations

import argparse
import json
import re
import threading
from pathlib import Path

from .answers import Anthropic, Call, Google, OpenAi, asked
from .upstream import Request, Response, Upstream

GEMINI = re.compile(r"/v1(?:beta)?/models/([^/:]+):(generateContent|streamGenerateContent)")


class Standin:
    """Answers the three dialects; an `Upstream` serves it."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Response:
        """The answer to a request, by its path."""
        path, _, query = request.path.partition("?")
        gemini = GEMINI.fullmatch(path)
        if path.endswith("/chat/completions"):
            body = asked(request)
            call: Call = OpenAi(request, body.get("model", ""), bool(body.get("stream")))
        elif path.endswith("/v1/messages"):
            body = asked(request)
            call = Anthropic(request, body.get("model", ""), bool(body.get("stream")))
        elif gemini:
            call = Google(request, gemini[1], gemini[2] == "streamGenerateContent", "alt=sse" in query)
        else:
            return Response([b'{"error":{"message":"no such path"}}'], status=404)
        self._write(call)
        return call.response()

    def _write(self, call: Call) -> None:
        if self._log is None or not call.tells_usage():
            return
        line = {
            "id": call.request.header("x-replay-id"),
            "provider": call.provider,
            "api": call.api,
            "stream": call.stream,
            "response": call.truth(),
        }
        with self._lock, self._log.open("a") as file:
            file.write(json.dumps(line) + "\n")


def main() -> None:
    """Serves until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Answers as OpenAI, Anthropic and Google do.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="the usage that was sent, one JSON line a call")
    options = parser.parse_args()
    with Upstream(Standin(options.log).answer, options.port) as server:
        print(f"http://127.0.0.1:{server.port}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
