"""Whose a call is: where the operator said to look, and nowhere else."""

from __future__ import annotations

import ssl
from typing import Any
from uuid import uuid4

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors, types

from .certs import Authority, jwks, token
from .conftest import Gateway, Gateways
from .dialects import ANTHROPIC, GEMINI, OPENAI, Dialect

JWT_FILTER = {
    "name": "envoy.filters.http.jwt_authn",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {
            "tests": {
                "issuer": "tests",
                "local_jwks": {"inline_string": jwks()},
                "payload_in_metadata": "jwt_payload",
            }
        },
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "tests"}}],
    },
}
REFUSE = {"tenant": [{"header": "x-tenant-id"}], "anonymous": "refuse"}


def test_the_first_source_that_has_a_value_names_the_tenant(gateways: Gateways) -> None:
    sources = [{"header": "x-org"}, {"header": "x-tenant-id"}, {"body": "/user"}]
    gateway = gateways({"tenant": sources})
    rows = {
        "org": gateway.ask(OPENAI, headers={"x-org": "org", "x-tenant-id": "tenant"}),
        "tenant": gateway.ask(OPENAI, headers={"x-org": "", "x-tenant-id": "tenant"}),
        "body": gateway.ask(OPENAI, body=OPENAI.body(user="body")),
    }
    assert {name: seen.row["tenant"] for name, seen in rows.items()} == {name: name for name in rows}


def test_a_tenant_is_captured_from_a_longer_value(gateways: Gateways) -> None:
    capture = {"header": "x-key", "capture": "^org_([a-z0-9]+)_"}
    gateway = gateways({"tenant": [capture, {"header": "x-tenant-id"}]})
    assert gateway.ask(OPENAI, headers={"x-key": "org_acme7_secret"}).row["tenant"] == "acme7"
    headers = {"x-key": "no match", "x-tenant-id": "next"}
    assert gateway.ask(OPENAI, headers=headers).row["tenant"] == "next"


def test_the_body_names_tenant_and_user_in_both_modes(gateways: Gateways) -> None:
    for held in (False, True):
        plugin = {"tenant": [{"body": "/metadata/org"}], "user": [{"body": "/user"}], "hold_headers": held}
        body = OPENAI.body(user="ann", metadata={"org": "acme"})
        assert gateways(plugin).ask(OPENAI, body=body).fields("tenant", "user") == {
            "tenant": "acme",
            "user": "ann",
        }


def test_a_claim_of_the_jwt_names_the_tenant(gateways: Gateways) -> None:
    plugin = {"tenant": [{"jwt": {"payload": "jwt_payload", "claim": "/org/id"}}]}
    gateway = gateways(plugin, filters=[JWT_FILTER])
    headers = {"authorization": f"Bearer {token(org={'id': 'acme'})}"}
    assert gateway.ask(OPENAI, headers=headers).row["tenant"] == "acme"
    other = {"authorization": f"Bearer {token(sub='somebody')}"}
    assert gateway.ask(OPENAI, headers=other).row["tenant"] == "anonymous"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the certificates of this file."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("source", "tenant"),
    [
        ({"san": "uri", "capture": "^spiffe://([a-z]+)/"}, "acme"),
        ({"san": "dns"}, "gateway.acme.example"),
    ],
    ids=["uri", "dns"],
)
def test_a_name_in_the_client_certificate_names_the_tenant(
    gateways: Gateways, authority: Authority, source: dict[str, Any], tenant: str
) -> None:
    tls = authority.server_tls(authority.server(), clients=True)
    gateway = gateways({"tenant": [source]}, tls=tls)
    pair = authority.client(uri="spiffe://acme/gateway", dns="gateway.acme.example")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(pair.certificate, pair.key)
    with httpx.Client(verify=context, timeout=20) as client:
        assert gateway.ask(OPENAI, client=client).row["tenant"] == tenant


def test_a_call_without_a_tenant_is_counted_for_a_named_anonymous_one(gateways: Gateways) -> None:
    assert gateways().ask(OPENAI).row["tenant"] == "anonymous"
    named = {"tenant": [{"header": "x-tenant-id"}], "anonymous": {"tenant": "nobody"}}
    assert gateways(named).ask(OPENAI).row["tenant"] == "nobody"


def test_a_call_without_a_tenant_is_refused_in_its_dialect_where_that_is_asked_for(
    gateways: Gateways, dialect: Dialect, stream: bool
) -> None:
    seen = gateways(REFUSE).ask(dialect, stream=stream)
    assert seen.answer.status_code == 401
    assert seen.answer.headers["content-type"].startswith("application/json")
    error = seen.answer.json()
    match dialect.name:
        case "openai":
            assert error["error"]["message"]
            assert {"type", "param", "code"} <= error["error"].keys()
        case "anthropic":
            assert error["type"] == "error"
            assert error["error"]["type"] == "authentication_error"
            assert error["error"]["message"]
        case "gemini":
            assert (error["error"]["code"], error["error"]["status"]) == (401, "UNAUTHENTICATED")
            assert error["error"]["message"]
    assert seen.request is None, "the provider never hears of it"
    assert seen.fields("decision", "usage", "input_tokens") == {
        "decision": "refuse",
        "usage": "absent",
        "input_tokens": None,
    }
    named = gateways(REFUSE).ask(dialect, headers={"x-tenant-id": "acme"})
    assert named.answer.status_code == 200


@pytest.mark.parametrize("held", [False, True], ids=["headers-go-on", "headers-held"])
def test_a_tenant_missing_from_the_body_is_refused_as_well(gateways: Gateways, held: bool) -> None:
    plugin = {"tenant": [{"body": "/user"}], "anonymous": "refuse", "hold_headers": held}
    gateway = gateways(plugin)
    refused = gateway.ask(OPENAI)
    assert refused.answer.status_code == 401
    assert refused.answer.json()["error"]["message"]
    assert gateway.ask(OPENAI, body=OPENAI.body(user="acme")).answer.status_code == 200


def test_the_sdks_understand_the_refusal(gateways: Gateways) -> None:
    url = gateways(REFUSE).envoy.url
    hello = [{"role": "user", "content": "hello"}]
    chat = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0).chat
    with pytest.raises(openai.AuthenticationError):
        chat.completions.create(model="gpt-4o", messages=hello)
    claude = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        claude.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=hello)
    google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url))
    with pytest.raises(errors.ClientError) as refused:
        google.models.generate_content(model="gemini-2.5-flash", contents="hello")
    assert refused.value.code == 401


def test_identity_headers_are_stripped_before_the_upstream(gateway: Gateway) -> None:
    seen = gateway.ask(ANTHROPIC, headers={"x-tenant-id": "acme", "x-feature": "chat"})
    assert seen.request is not None
    assert seen.request.header("x-tenant-id") == ""
    assert seen.request.header("x-feature") == "chat"
    assert seen.row["tenant"] == "acme"


def test_a_header_that_the_operator_did_not_name_names_nobody(gateways: Gateways) -> None:
    gateway = gateways({"tenant": [{"header": "x-org"}]})
    headers = {"x-tenant-id": "forged", "tenant": "forged", "x-org-id": "forged"}
    seen = gateway.ask(GEMINI, headers=headers, body=GEMINI.body(labels={"tenant": "forged"}))
    assert seen.row["tenant"] == "anonymous"


def test_a_very_long_tenant_is_bounded_and_harms_nobody(gateway: Gateway) -> None:
    long = uuid4().hex * 300
    seen = gateway.ask(OPENAI, headers={"x-tenant-id": long})
    assert seen.answer.status_code == 200
    assert seen.row["usage"] == "reported"
