"""What is shown of budgets, and to whom."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from uuid import uuid4

import httpx

from ..bootstrap import LOCALHOST
from ..quota import Quota
from ..standin import Standin
from ..upstream import Response, Upstream
from .dialects import DIALECTS
from .house import cost, customers, opened


def test_a_call_is_seen_within_five_seconds(upstream: Upstream) -> None:
    with Quota(customers()) as quota, opened(upstream, quota, sync_ms=1_000) as house:
        exchange = house.post("free-0")
        began = time.monotonic()
        while quota.costs().get("free-0") != cost(exchange.row):
            assert time.monotonic() - began < 5
            time.sleep(0.1)


def test_a_customer_sees_its_own_call_within_five_seconds(upstream: Upstream) -> None:
    mine = customers()
    for customer in mine["customers"]:
        customer["token_sha256"] = sha256(f"token of {customer['id']}".encode()).hexdigest()
    with Quota(mine) as quota, opened(upstream, quota, sync_ms=1_000) as house:

        def usage(token: str) -> httpx.Response:
            headers = {"authorization": f"Bearer token of {token}"}
            url = f"http://{LOCALHOST}:{quota.port}/v1/customers/five-0/usage"
            return httpx.get(url, headers=headers)

        assert usage("five-0").json()["budgets"][0]["used"] == 0
        house.post("five-0")
        began = time.monotonic()
        while usage("five-0").json()["budgets"][0]["used"] != 1:
            assert time.monotonic() - began < 5
            time.sleep(0.1)
        assert usage("five-1").status_code == 401


def test_slack_is_told_once() -> None:
    told = Response([b"ok"], chunked=False)
    with (
        Upstream(lambda _: told) as slack,
        Upstream(Standin().answer) as upstream,
        Quota(customers(alerts={"slack": {"url": f"http://127.0.0.1:{slack.port}/hook"}})) as quota,
        opened(upstream, quota) as house,
    ):


        def told_of(messages: int) -> None:
            until = time.monotonic() + 25
            while len(slack.requests) < messages and time.monotonic() < until:
                time.sleep(0.1)

        # Who passes two thresholds in one report is told of the higher one only.
        quota.use("five-0", 3)
        house.decisions("five-0", 1)
        told_of(1)
        house.decisions("five-0", 3)
        told_of(2)
        time.sleep(1)
        texts = [json.loads(request.body)["text"] for request in slack.requests]
        assert len(texts) == len(set(texts)) == 2, texts


def test_no_text_and_no_key_is_kept(upstream: Upstream) -> None:
    canary = "kanarie" + uuid4().hex
    slack_answer = Response([b"ok"], chunked=False)
    with (
        Upstream(lambda _: slack_answer) as slack,
        Quota(customers(alerts={"slack": {"url": f"http://127.0.0.1:{slack.port}/hook"}})) as quota,
        opened(upstream, quota) as house,
    ):
        keys = {name: canary for name in ("authorization", "x-api-key", "x-goog-api-key", "cookie")}
        quota.use("five-1", 5)
        for dialect in DIALECTS:
            whole = json.dumps(dialect.whole)
            whole = whole.replace("the word ", canary)
            said = {
                "tools": [{"arguments": canary}],
                "metadata": {"x": canary},
                "messages": [{"role": "user", "content": canary}],
            }
            for tenant in ("free-2", "five-1", "nobody"):
                answers = [
                    Response([whole.encode()], chunked=False),
                    Response([f'{{"error":{{"message":"{canary}"}}}}'.encode()], status=400, chunked=False),
                    Response([b'{"cut":"' + canary.encode()], chunked=False),
                ]
                for answer in answers:
                    house.post(tenant, dialect, headers=keys, answer=answer, body=dialect.body(**said))
        house.agree()
        time.sleep(1)
        kept = [*house.envoy.directory.iterdir(), *quota.directory.iterdir()]
        for file in kept:
            assert canary.encode() not in file.read_bytes(), file.name
        spoken = json.dumps(
            [house.envoy.metrics(), quota.metrics(), quota.report("costs?by=customer,feature,model")]
        )
        assert canary not in spoken
        assert not [r for r in slack.requests if canary.encode() in r.body]
