"""An HTTP/1.1 server on raw sockets whose every byte, pause and failure can be chosen.

A `Response` is a list of steps: bytes are written at once and on their own, a number is a pause in
seconds, an event is waited for. It ends as it says: in order, by closing early, by a reset, or
never. A request gets the script that its `x-replay-id` names, else what `answer` makes of it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from itertools import count

from .bootstrap import LOCALHOST

Headers = list[tuple[bytes, bytes]]
Step = bytes | float | threading.Event


class End(Enum):
    """How an answer ends."""

    COMPLETE = "complete"
    CLOSE = "close"
    """The connection is closed where the answer should go on."""
    RESET = "reset"
    """The same, with a TCP reset."""
    NEVER = "never"
    """Nothing more comes, and the connection stays."""


@dataclass(frozen=True)
class Request:
    """A request as it arrived."""

    method: str
    path: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, or the empty string."""
        values = (v for k, v in self.headers if k.lower() == name.encode())
        return next(values, b"").decode("latin-1")


@dataclass(frozen=True)
class Response:
    """An answer, step by step. `chunked`, or with the `content-length` of all its bytes."""

    steps: Sequence[Step] = ()
    status: int | None = 200
    """`None`: the answer ends before it began."""
    headers: Sequence[tuple[str | bytes, str | bytes]] = (("content-type", "application/json"),)
    chunked: bool = True
    end: End = End.COMPLETE
    before: Sequence[Step] = ()
    """Pauses and events before the headers."""

    def body(self) -> bytes:
        """All bytes of the body."""
        return b"".join(step for step in self.steps if isinstance(step, bytes))


Answer = Callable[[Request], Response]


@dataclass
class Upstream:
    """The server, in a thread of its own while used as a context."""

    answer: Answer
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    hangups: int = 0
    """Answers that could not be written to their end because the client went away."""

    def __post_init__(self) -> None:
        self._scripts: dict[str, Response] = {}
        self._names = count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._listening = threading.Event()

    def script(self, response: Response, name: str | None = None) -> str:
        """Keeps an answer; requests get it by the name returned, in `x-replay-id`."""
        name = name or f"script-{next(self._names)}"
        self._scripts[name] = response
        return name

    def __enter__(self) -> Upstream:
        self._socket = socket.create_server((LOCALHOST, self.port), backlog=1024)
        self.port = self._socket.getsockname()[1]
        self._thread.start()
        self._listening.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._connection, sock=self._socket, limit=1 << 20)
        )
        self._listening.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while request := await _read_request(reader):
                self.requests.append(request)
                script = self._scripts.get(request.header("x-replay-id"))
                response = script if script is not None else self.answer(request)
                await self._write(response, writer, reader)
                if response.end is not End.COMPLETE:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hangups += 1
        finally:
            writer.close()

    async def _write(
        self, response: Response, writer: asyncio.StreamWriter, reader: asyncio.StreamReader
    ) -> None:
        for step in response.before:
            await _step(step, writer, chunked=False)
        if response.status is not None:
            writer.write(_head(response, response.status))
        for step in response.steps:
            await _step(step, writer, chunked=response.chunked)
        match response.end:
            case End.COMPLETE if response.chunked:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            case End.RESET:
                linger = struct.pack("ii", 1, 0)
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            case End.NEVER:
                await reader.read()


async def _step(step: Step, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
    if isinstance(step, bytes):
        writer.write(b"%x\r\n%b\r\n" % (len(step), step) if chunked and step else step)
        await writer.drain()
    elif isinstance(step, threading.Event):
        await asyncio.to_thread(step.wait, EVENT_IN)
    else:
        await asyncio.sleep(step)


def _head(response: Response, status: int) -> bytes:
    lines: list[bytes] = [f"HTTP/1.1 {status} {_reason(status)}".encode()]
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in response.headers]
    if response.chunked:
        lines.append(b"transfer-encoding: chunked")
    else:
        lines.append(b"content-length: %d" % len(response.body()))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Other"


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head[:-4].split(b"\r\n")
    method, path, _ = first.decode("latin-1").split(" ", 2)
    pairs = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    return Request(method, path, headers, await _read_body(reader, dict(headers)))


async def _read_body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding") != b"chunked":
        return await reader.readexactly(int(headers.get(b"content-length", b"0")))
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while await reader.readline() != b"\r\n":
        pass
    return bytes(body)


def sse(events: Iterable[str | bytes], *, newline: str = "\n") -> list[bytes]:
    """One chunk of a stream for each payload, as `data:` and a blank line."""
    return [b"data: " + _bytes(event) + 2 * newline.encode() for event in events]


EVENT_IN = 20.0
