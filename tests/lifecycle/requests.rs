//! What becomes of a request on its way to the upstream.

use crate::PRICED;
use crate::support::dialect::{ALL, ANTHROPIC, GEMINI, OPENAI, coded};
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

/// What a client sends that codes its requests.
fn in_coding(body: &str) -> impl Iterator<Item = Request> {
    let plain = Request::of(&OPENAI, false);
    coded(body.as_bytes()).into_iter().map(move |(coding, body)| {
        let length = body.len().to_string();
        let request = plain.clone().with("content-encoding", coding).with("content-length", length);
        Request { body, ..request }
    })
}

const CODED: &str = r#"{"model": "gpt-4o-mini", "user": "u7", "stream": true, "max_tokens": 70}"#;

#[test]
fn a_request_in_a_coding_is_read_and_goes_on_as_it_came() {
    let configuration = r#"{"tenant": [{"header": "x-tenant-id"}], "user": [{"body": "/user"}]}"#;
    for size in [1, 7, 4096] {
        for request in in_coding(CODED) {
            let worker = Worker::new(configuration);
            let call = worker.stream();
            call.request_headers(&request, false);
            for chunk in request.body.chunks(size) {
                call.request_body(chunk, false);
            }
            call.request_body(b"", true);
            assert_eq!(call.upstream().body, request.body);
            assert_eq!(call.sent_header("content-length"), Some(request.body.len().to_string()));
            call.break_off("downstream_remote_disconnect");
            let fields = ["request_model", "user", "stream", "output_tokens"];
            assert_eq!(call.fields(fields), ["gpt-4o-mini", "u7", "true", "70"]);
        }
    }
}

#[test]
fn a_request_in_a_coding_is_estimated_by_what_stands_in_it() {
    let long = format!(r#"{{"model": "m", "text": "{}"}}"#, "four".repeat(1_000));
    for request in in_coding(&long) {
        assert!(request.body.len() < 400);
        let worker = Worker::new(PRICED);
        let call = worker.ask(&request);
        call.break_off("downstream_remote_disconnect");
        let input: usize = call.field("input_tokens").parse().unwrap();
        assert_eq!(input, long.len().div_ceil(4));
    }
}

#[test]
fn a_request_whose_coding_cannot_be_read_is_counted() {
    let [(_, gzip), ..] = coded(CODED.as_bytes());
    let cut = &gzip[..gzip.len() - 9];
    for (coding, body) in [("gzip", cut), ("gzip", CODED.as_bytes()), ("compress", &gzip)] {
        let worker = Worker::new(PRICED);
        let request = Request::of(&OPENAI, false).with("content-encoding", coding);
        let request = Request { body: body.to_vec(), ..request };
        let call = worker.exchange(&request, &[OPENAI.json()]);
        assert_eq!(call.upstream().body, body);
        assert_eq!(call.fields(["usage", "output_tokens"]), ["reported", "25"]);
        let failures = worker.counters().into_iter();
        let mut failures = failures.filter(|(name, _)| name.ends_with("parse_failures_total"));
        assert!(failures.any(|(name, count)| name.contains("reason=.=request;") && count == 1));
    }
}

#[test]
fn a_request_whose_coding_cannot_be_read_is_refused_where_budgets_count() {
    let of_models =
        tokens(2_000, r#""id": "big", "match": {"model": ["gpt-4o*"]}, "action": "refuse""#);
    for (coding, status) in [("compress", Some(415)), ("gzip", Some(415)), ("", None)] {
        let request = Request::of(&OPENAI, false).with("content-encoding", coding);
        let call = of_models.ask(&request);
        assert_eq!(call.reply().map(|reply| reply.status), status, "{coding}");
        assert_eq!(call.upstream().headers.is_none(), status.is_some(), "{coding}");
    }
}

#[test]
fn codings_that_stand_in_several_headers_are_one_list() {
    for request in in_coding(CODED) {
        let (_, coding) =
            request.headers.iter().find(|(name, _)| name == "content-encoding").unwrap().clone();
        let request = request.without("content-encoding").with("content-encoding", "identity");
        let request = request.with("content-encoding", coding);
        let worker = Worker::new(PRICED);
        let call = worker.ask(&request);
        call.break_off("downstream_remote_disconnect");
        assert_eq!(call.fields(["request_model", "output_tokens"]), ["gpt-4o-mini", "70"]);
    }
}

/// A budget of so many tokens, which a request must be read for.
fn tokens(limit: u64, more: &str) -> Worker {
    let budget = format!(r#"{{"limit": {{"tokens": {limit}}}, "window": "day", {more}}}"#);
    Worker::new(&format!(
        r#"{{"budgets": [{budget}], "hold_headers": true, "max_buffered": 8192}}"#
    ))
    .that_lets_headers_be_held()
}

#[test]
fn a_request_in_a_coding_is_decided_by_what_stands_in_it_and_never_changed() {
    let most = r#""action": "refuse""#;
    let changes = [
        r#""action": {"downgrade": {"models": {"gpt-4o-mini": "gpt-4.1-nano"}}}"#,
        r#""action": "refuse", "too_large": "lower""#,
        r#""action": "refuse", "hold": "worst_case", "too_large": "lower""#,
    ];
    for request in in_coding(CODED) {
        let enough = tokens(2_000, most);
        let passed = enough.ask(&request);
        assert_eq!(passed.upstream().body, request.body);
        for more in [most].iter().chain(&changes) {
            let too_little = tokens(60, more);
            let refused = too_little.ask(&request);
            assert!(refused.upstream().headers.is_none(), "{more}");
            assert_eq!(refused.reply().unwrap().details, "tollgate_budget_exceeded", "{more}");
        }
        let firm = tokens(2_000, r#""action": "refuse", "hold": "worst_case""#);
        let call = firm.exchange(&request, &[OPENAI.json()]);
        assert_eq!((call.field("hold"), call.upstream().body), ("firm".into(), request.body));
    }
}

#[test]
fn a_request_that_expands_beyond_what_may_be_held_is_not_held() {
    let long = format!(r#"{{"model": "m", "text": "{}"}}"#, "four".repeat(10_000));
    for request in in_coding(&long) {
        let worker = tokens(100_000, r#""action": "refuse""#);
        let call = worker.stream();
        call.request_headers(&request, false);
        for byte in request.body.chunks(1) {
            call.request_body(byte, false);
        }
        assert_eq!(call.reply().unwrap().details, "tollgate_body_too_large");
        let firm = tokens(100_000, r#""action": "refuse", "hold": "worst_case""#);
        let call = firm.ask(&request);
        assert_eq!(call.reply().unwrap().details, "tollgate_hold_unbounded");
    }
}
