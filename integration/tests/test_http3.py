"""HTTP/3: Envoy may log a stream after it deleted it. No worker may lose its VM over that."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import defaultdict
from pathlib import Path
from uuid import uuid4

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent

from ..bootstrap import LOCALHOST
from .certs import Authority
from .conftest import Gateways
from .dialects import OPENAI, USED


class Client(QuicConnectionProtocol):
    """A client that posts and collects answers."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._http = H3Connection(self._quic)
        self._status: dict[int, str] = {}
        self._body: dict[int, bytes] = defaultdict(bytes)
        self._done: dict[int, asyncio.Future[None]] = {}

    async def post(self, path: str, body: bytes, **headers: str) -> tuple[str, bytes]:
        """The status and the body of the answer."""
        stream = self._quic.get_next_available_stream_id()
        self._done[stream] = asyncio.get_running_loop().create_future()
        head = {":method": "POST", ":scheme": "https", ":authority": "localhost", ":path": path}
        pairs = [(k.encode(), v.encode()) for k, v in (head | headers).items()]
        self._http.send_headers(stream, pairs)
        self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self._done[stream], 20)
        return self._status[stream], self._body[stream]

    def quic_event_received(self, event: QuicEvent) -> None:
        for arrived in self._http.handle_event(event):
            self._take(arrived)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._status[event.stream_id] = dict(event.headers)[b":status"].decode()
        if isinstance(event, DataReceived):
            self._body[event.stream_id] += event.data
        if getattr(event, "stream_ended", False):
            self._done[event.stream_id].set_result(None)


def test_calls_over_http3_are_metered_and_no_worker_loses_its_vm(gateways: Gateways, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    gateway = gateways(tls=authority.server_tls(authority.server(), clients=False), http3=True)
    scripts = [gateway.upstream.script(OPENAI.stream(), uuid4().hex) for _ in range(20)]

    async def calls() -> list[tuple[str, bytes]]:
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE)
        port = gateway.envoy.port
        async with connect(LOCALHOST, port, configuration=configuration, create_protocol=Client) as client:
            assert isinstance(client, Client)
            body = json.dumps(OPENAI.body(stream=True)).encode()
            headers = {"x-tenant-id": "acme", "content-type": "application/json"}
            first = [
                client.post(OPENAI.path, body, **headers, **{"x-replay-id": script}) for script in scripts
            ]
            answers = await asyncio.gather(*first)
            last = gateway.upstream.script(OPENAI.json(), uuid4().hex)
            scripts.append(last)
            return [*answers, await client.post(OPENAI.path, body, **headers, **{"x-replay-id": last})]

    answers = asyncio.run(calls())
    assert [status for status, _ in answers] == ["200"] * 21
    assert answers[0][1] == b"".join(OPENAI.chunks())
    assert gateway.envoy.lost_vms() == []
    for script in scripts:
        row = gateway.envoy.row(script)
        assert row["protocol"] == "HTTP/3"
        assert row["tenant"] == "acme"
        assert {name: row[name] for name in USED} == USED
