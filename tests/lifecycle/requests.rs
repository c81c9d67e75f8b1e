//! What becomes of a request on its way to the upstream.

use crate::PRICED;
use crate::support::dialect::{ALL, ANTHROPIC, GEMINI, OPENAI};
use crate::support::{Request, Worker};

#[test]
fn a_request_reaches_the_upstream_as_it_was() {
    let worker = Worker::new(PRICED);
    for dialect in ALL {
        let request = Request::of(&dialect, false);
        let call = worker.stream();
        call.request_headers(&request, false);
        assert!(call.upstream().headers.is_some(), "nothing is held without need");
        for chunk in request.body.chunks(9) {
            call.request_body(chunk, false);
        }
        call.request_body(b"", true);
        let upstream = call.upstream();
        assert_eq!((upstream.body, upstream.ended), (request.body, true));
    }
}

#[test]
fn an_unknown_path_passes_untouched_and_is_counted() {
    let worker = Worker::new(PRICED);
    let chat = Request::of(&OPENAI, false).with("accept-encoding", "br");
    let cases = [
        Request { path: "/v1/models".into(), ..chat.clone() },
        Request { path: "/".into(), ..chat.clone() },
        Request { path: String::new(), ..chat.clone() },
        Request { method: "GET", ..chat },
    ];
    let total = u64::try_from(cases.len()).unwrap();
    for request in cases {
        let call = worker.exchange(&request, &["not looked at"]);
        assert_eq!(
            call.row().into_iter().collect::<Vec<_>>(),
            [("decision".into(), "skip".into())]
        );
        assert_eq!(call.upstream().body, request.body);
        assert_eq!(call.sent_header("accept-encoding").as_deref(), Some("br"));
    }
    assert_eq!(
        worker.counters().into_iter().collect::<Vec<_>>(),
        [("tollgate_skipped_total".to_owned(), total)]
    );
}

#[test]
fn only_codings_that_can_be_read_are_asked_of_the_upstream() {
    #[rustfmt::skip]
    let cases = [
        // sent                          passed on
        (None,                           None),
        (Some("gzip"),                   Some("gzip")),
        (Some("GZIP, identity;q=0.5"),   Some("GZIP, identity;q=0.5")),
        (Some("gzip, deflate, br, zstd"), Some("gzip")),
        (Some("br"),                     Some("identity")),
        (Some("*"),                      Some("identity")),
        (Some("gzip;q=0, br;q=1"),       Some("identity")),
        (Some("br;q=0.0, gzip"),         Some("br;q=0.0, gzip")),
    ];
    let worker = Worker::new(PRICED);
    for (sent, passed) in cases {
        let request = Request::of(&ANTHROPIC, false);
        let request = match sent {
            Some(value) => request.with("accept-encoding", value),
            None => request,
        };
        let call = worker.ask(&request);
        assert_eq!(call.sent_header("accept-encoding").as_deref(), passed, "{sent:?}");
    }
}

#[test]
fn identity_headers_are_read_and_then_stripped_from_every_request() {
    let worker = Worker::new(
        r#"{"tenant": [{"header": "x-tenant-id"}], "strip": ["X-Tenant-Id", "x-none"]}"#,
    );
    let request = Request::of(&OPENAI, false);
    let call = worker.exchange(&request, &[OPENAI.json()]);
    assert_eq!(call.field("tenant"), "acme");
    assert_eq!(call.sent_header("x-tenant-id"), None);
    assert!(call.sent_header("authorization").is_some());

    let elsewhere = worker.ask(&Request { path: "/v1/models".into(), ..request });
    assert_eq!(elsewhere.sent_header("x-tenant-id"), None);
}

#[test]
fn headers_that_are_not_utf8_are_passed_over() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&OPENAI, false)
        .without("x-tenant-id")
        .with("x-tenant-id", b"ac\xffme")
        .with("accept-encoding", b"\xff\xfe");
    let call = worker.exchange(&request, &[OPENAI.json()]);
    assert_eq!(call.fields(["tenant", "output_tokens"]), ["anonymous", "25"]);
}

#[test]
fn the_host_the_rules_and_the_path_tell_the_provider() {
    let worker = Worker::new(
        r#"{"providers": [{"host": "llm.internal", "provider": "mistral"},
                          {"cluster": "gpu", "provider": "my-vllm", "api": "openai"}]}"#,
    );
    let provider = |host: &str, cluster: &'static str| {
        let request = Request { host: host.to_owned(), ..Request::of(&OPENAI, false) };
        let call = worker.stream();
        call.set_property("xds\0cluster_name", cluster);
        call.request(&request);
        call.end();
        call.field("provider")
    };
    assert_eq!(provider("llm.internal:8080", "gpu"), "mistral");
    assert_eq!(provider("api.groq.com", "gpu"), "my-vllm");
    assert_eq!(provider("api.groq.com", "other"), "groq");
    assert_eq!(provider("localhost", "\u{0}"), "openai");
}

#[test]
fn a_request_with_trailers_or_without_a_body_is_a_call_too() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&GEMINI, false);
    let call = worker.stream();
    call.request_headers(&request, false);
    call.request_body(&request.body, false);
    call.request_trailers();
    call.answer(200, &[], &[GEMINI.json()]);
    call.end();
    assert!(call.upstream().ended);
    assert_eq!(call.fields(["tenant", "output_tokens"]), ["acme", "25"]);

    let bare = worker.exchange(&Request { body: Vec::new(), ..request }, &[GEMINI.json()]);
    assert_eq!(bare.fields(["tenant", "output_tokens"]), ["acme", "25"]);
}
