//! Whose calls are, from wherever the operator says.

use crate::support::dialect::{ALL, ANTHROPIC, GEMINI, OPENAI};
use crate::support::{Request, Worker};

const JWT: &str = "metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0payload\0org\0id";
const URI_SAN: &str = "connection\0uri_san_peer_certificate";
const DNS_SAN: &str = "connection\0dns_san_peer_certificate";

#[test]
fn a_name_is_read_from_each_kind_of_source() {
    let number = |number: f64| number.to_le_bytes().to_vec();
    #[rustfmt::skip]
    let cases = [
        // source                                                             property           value                        tenant
        (r#"{"header": "X-Org"}"#,                                            "",                vec![],                      "header-co"),
        (r#"{"header": "x-org", "capture": "^(\\w+)-co$"}"#,                  "",                vec![],                      "header"),
        (r#"{"header": "x-org", "capture": "^nothing$"}"#,                    "",                vec![],                      "anonymous"),
        (r#"{"header": "x-absent"}"#,                                         "",                vec![],                      "anonymous"),
        (r#"{"header": ":authority"}"#,                                       "",                vec![],                      "gateway.internal"),
        (r#"{"jwt": {"payload": "payload", "claim": "/org/id"}}"#,            JWT,               b"claim-co".to_vec(),        "claim-co"),
        (r#"{"jwt": {"payload": "payload", "claim": "/org/id"}}"#,            JWT,               b"eightbyt".to_vec(),        "eightbyt"),
        (r#"{"jwt": {"payload": "payload", "claim": "/org/id"}}"#,            JWT,               number(42.0),                "42"),
        (r#"{"jwt": {"payload": "payload", "claim": "/org/id"}}"#,            JWT,               number(1_234_567_890_123.0), "1234567890123"),
        (r#"{"jwt": {"payload": "other", "claim": "/org/id"}}"#,              JWT,               b"claim-co".to_vec(),        "anonymous"),
        (r#"{"san": "uri", "capture": "^spiffe://corp/ns/([^/]+)"}"#,         URI_SAN,           b"spiffe://corp/ns/team-a/sa/x".to_vec(), "team-a"),
        (r#"{"san": "dns"}"#,                                                 DNS_SAN,           b"a.corp".to_vec(),          "a.corp"),
        (r#"{"san": "dns"}"#,                                                 DNS_SAN,           vec![],                      "anonymous"),
        (r#"{"body": "/metadata/org"}"#,                                      "",                vec![],                      "body-co"),
        (r#"{"body": "/metadata/number"}"#,                                   "",                vec![],                      "7"),
        (r#"{"body": "/metadata"}"#,                                          "",                vec![],                      "anonymous"),
        (r#"{"body": "/absent"}"#,                                            "",                vec![],                      "anonymous"),
    ];
    for (source, property, value, tenant) in cases {
        let worker = Worker::new(&format!(r#"{{"tenant": [{source}]}}"#));
        let request = Request {
            body: br#"{"model":"m","metadata":{"org":"body-co","number":7}}"#.to_vec(),
            ..Request::of(&OPENAI, false).with("x-org", "header-co")
        };
        let call = worker.stream();
        call.set_property(property, value);
        call.request(&request);
        call.answer(200, &[], &[OPENAI.json()]);
        call.end();
        assert_eq!(call.field("tenant"), tenant, "{source}");
    }
}

#[test]
fn the_first_source_with_a_value_wins_even_if_it_must_wait_for_the_body() {
    let worker = Worker::new(r#"{"tenant": [{"body": "/user"}, {"header": "x-tenant-id"}]}"#);
    let tenant = |body: &str| {
        let request = Request { body: body.into(), ..Request::of(&OPENAI, false) };
        worker.exchange(&request, &[OPENAI.json()]).field("tenant")
    };
    assert_eq!(tenant(r#"{"user": "from-body"}"#), "from-body");
    assert_eq!(tenant(r#"{"user": null}"#), "acme");
    assert_eq!(tenant("no JSON"), "acme");
    assert_eq!(tenant(""), "acme");
}

#[test]
fn feature_and_user_have_sources_of_their_own() {
    let worker = Worker::new(
        r#"{"tenant": [{"body": "/user", "capture": "^([^:]+):"}],
            "feature": [{"header": "x-feature"}, {"body": "/metadata/feature"}],
            "user": [{"body": "/user", "capture": ":(.+)$"}],
            "anonymous": {"tenant": "nobody"}}"#,
    );
    let request = Request {
        body: br#"{"user": "acme:jo", "metadata": {"feature": "summary"}}"#.to_vec(),
        ..Request::of(&OPENAI, false)
    };
    let names = ["tenant", "feature", "user"];
    let call = worker.exchange(&request, &[OPENAI.json()]);
    assert_eq!(call.fields(names), ["acme", "summary", "jo"]);
    let call = worker.exchange(&request.clone().with("x-feature", "chat"), &[OPENAI.json()]);
    assert_eq!(call.fields(names), ["acme", "chat", "jo"]);
    let call = worker.exchange(&Request { body: b"{}".to_vec(), ..request }, &[OPENAI.json()]);
    assert_eq!(call.fields(names), ["nobody", "-", "-"]);
    assert_eq!(worker.counted(&["tenant=.=acme;.;feature=.=chat;.;", "requests_total"]), 1);
}

#[test]
fn a_call_that_names_nobody_is_refused_in_the_shape_of_its_api() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-org"}], "anonymous": "refuse"}"#);
    #[rustfmt::skip]
    let cases = [
        // dialect    where the code stands            where its type stands  type
        (&ALL[0],     "/error/code",                   "/error/type",         "authentication_error"),
        (&ALL[1],     "/error/code",                   "/error/type",         "authentication_error"),
        (&ALL[2],     "/error/details/0/reason",       "/error/status",       "UNAUTHENTICATED"),
    ];
    for (dialect, code, kind, expected) in cases {
        let request = Request::of(dialect, false);
        let call = worker.ask(&request);
        let reply = call.reply().expect("a refusal");
        assert_eq!((reply.status, reply.details.as_str()), (401, "tollgate_tenant_unknown"));
        let json = ("content-type".to_owned(), "application/json".to_owned());
        assert_eq!(reply.headers, [json]);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body.pointer(code).unwrap(), "tenant_unknown", "{body}");
        assert_eq!(body.pointer(kind).unwrap(), expected, "{body}");
        assert!(call.upstream().headers.is_none(), "the upstream hears nothing");

        call.end();
        assert_eq!(
            call.fields(["decision", "usage", "cost_nano_usd", "tenant", "provider", "ttft_ms"]),
            ["refuse", "absent", "0", "-", dialect.provider, "-"]
        );
    }
    assert_eq!(worker.counted(&["outcome=.=refused;.;", "tenant=.=none;.;"]), 3);
    assert!(worker.samples().is_empty(), "a refusal says nothing about the provider's speed");
}

#[test]
fn a_call_that_names_someone_passes_though_others_are_refused() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-tenant-id"}], "anonymous": "refuse"}"#);
    for dialect in [ANTHROPIC, GEMINI] {
        let call = worker.exchange(&Request::of(&dialect, false), &[dialect.json()]);
        assert_eq!(call.reply(), None);
        assert_eq!(call.fields(["decision", "tenant"]), ["pass", "acme"]);
    }
}

#[test]
fn what_the_body_has_said_holds_however_the_request_ends() {
    let worker = Worker::new(r#"{"tenant": [{"body": "/user"}]}"#);
    let request = Request { body: br#"{"user": "acme"}"#.to_vec(), ..Request::of(&OPENAI, false) };
    let early = worker.stream();
    early.request_headers(&request, false);
    early.request_body(&request.body, false);
    early.answer(200, &[], &[OPENAI.json()]);
    early.request_body(b"", true);
    early.end();
    assert_eq!(early.fields(["tenant", "usage"]), ["acme", "reported"]);

    let broken = worker.stream();
    broken.request_headers(&request, false);
    broken.request_body(&request.body, false);
    broken.break_off("downstream_remote_disconnect");
    assert_eq!(broken.fields(["tenant", "usage"]), ["acme", "absent"]);
}

#[test]
fn no_model_can_forge_a_line_of_the_log() {
    let worker = Worker::new("{}");
    for model in ["gpt\n{\"tenant\": \"rich\"}", &"m".repeat(129), "\u{85}", ""] {
        let body = serde_json::json!({"model": model}).to_string().into_bytes();
        let request = Request { body: body.clone(), ..Request::of(&OPENAI, false) };
        let call = worker.exchange(&request, &[body]);
        assert_eq!(call.fields(["request_model", "model"]), ["-", "-"], "{model:?}");
    }
    let path = "/v1beta/models/a%0Ab:generateContent".to_owned();
    let call = worker.exchange(&Request { path, ..Request::of(&GEMINI, false) }, &["{}"]);
    assert_eq!(call.fields(["request_model", "model"]), ["-", "-"]);
}
