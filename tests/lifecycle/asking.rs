//! Usage that the client did not ask for: what the upstream, the client and the access log get.

use crate::support::dialect::{OPENAI, USED};
use crate::support::{Call, Request, Worker, coded};

const PASSING: &str = r#"{"max_buffered": 1024}"#;
const HELD: &str = r#"{"hold_headers": true, "max_buffered": 1024}"#;
const BODY: &str = r#"{"model":"gpt-4o-mini", "messages":[{"content":"} é"}], "stream":true }"#;
const ASKING: &str = r#"{"model":"gpt-4o-mini", "messages":[{"content":"} é"}], "stream":true ,"stream_options":{"include_usage":true}}"#;

fn worker(configuration: &str) -> Worker {
    let worker = Worker::new(configuration);
    if configuration == HELD { worker.that_lets_headers_be_held() } else { worker }
}

fn request(body: &str) -> Request {
    let length = body.len().to_string();
    let request = Request { body: body.into(), ..Request::of(&OPENAI, true) };
    request.with("content-length", length).with("accept-encoding", "gzip, br")
}

fn sent(call: &Call<'_>) -> String {
    String::from_utf8(call.upstream().body).unwrap()
}

fn stream() -> String {
    String::from_utf8(OPENAI.sse().concat()).unwrap()
}

/// The stream without its usage chunk.
fn stripped() -> String {
    let mut events = OPENAI.sse();
    events.remove(events.len() - 2);
    String::from_utf8(events.concat()).unwrap()
}

fn assert_reported(call: &Call<'_>) {
    assert_eq!(call.fields(USED.map(|(name, _)| name)), USED.map(|(_, value)| value));
}

#[test]
fn usage_is_asked_for_counted_and_kept_from_a_client_that_did_not_ask() {
    for configuration in [PASSING, HELD] {
        let worker = worker(configuration);
        for size in [1, 7, 50, 1_000] {
            let (request, call) = (request(BODY), worker.stream());
            call.request_headers(&request, false);
            request.body.chunks(size).for_each(|chunk| call.request_body(chunk, false));
            call.request_body(b"", true);
            assert_eq!(sent(&call), ASKING, "in chunks of {size}");
            let length = (configuration == HELD).then(|| ASKING.len().to_string());
            assert_eq!(call.sent_header("content-length"), length);
            assert_eq!(call.sent_header("accept-encoding").as_deref(), Some("identity"));
            let whole = stream();
            call.answer(
                200,
                &[("content-length", "1")],
                &whole.as_bytes().chunks(size).collect::<Vec<_>>(),
            );
            call.end();
            assert_eq!(call.client(), stripped(), "in chunks of {size}");
            assert!(!call.answer_header("content-length"));
            assert_reported(&call);
        }
    }
}

#[test]
fn where_usage_is_not_asked_for_nothing_is_changed() {
    let signed = "AWS4-HMAC-SHA256 Credential=x";
    let elsewhere = |host: &str, body: &str| Request { host: host.into(), ..request(body) };
    let plain = r#"{"model":"m"}"#;
    for configuration in [PASSING, HELD] {
        #[rustfmt::skip]
        let cases = [
            ("the client asks",       request(ASKING)),
            ("no stream",             request(plain)),
            ("signed",                request(BODY).without("authorization").with("authorization", signed)),
            ("another provider",      elsewhere("api.mistral.ai", BODY)),
            ("no JSON",               request("stream: true")),
        ];
        for (what, request) in cases {
            let call = worker(configuration).ask(&request).upstream();
            assert_eq!(call.body, request.body, "{what}");
        }
        let worker = worker(configuration);
        let call = worker.exchange(&request(ASKING), &[stream()]);
        assert_eq!(call.client(), stream());
        assert_reported(&call);
    }
    let off = Worker::new(r#"{"include_usage": false}"#);
    let call = off.exchange(&request(BODY), &[stream()]);
    assert_eq!((sent(&call), call.client()), (BODY.to_owned(), stream()));
    assert_eq!(call.sent_header("content-length"), Some(BODY.len().to_string()));
}

#[test]
fn options_of_the_client_stay_beside_it() {
    let options = |usage: &str| format!(r#"{{"stream":true,"stream_options":{{{usage}"x":1}}}}"#);
    for configuration in [PASSING, HELD] {
        for before in ["", r#""include_usage":false,"#] {
            let call = worker(configuration);
            let call = call.exchange(&request(&options(before)), &[stream()]);
            assert_eq!(sent(&call), options(r#""include_usage":true,"#));
            assert_eq!(call.client(), stripped());
        }
    }
}

#[test]
fn a_request_too_large_to_be_held_goes_on_without_asking_and_one_that_passes_asks() {
    let body = format!(r#"{{"pad":"{}","stream":true}}"#, "x".repeat(3_000));
    for (configuration, asks) in [(PASSING, true), (HELD, false)] {
        let worker = worker(configuration);
        let call = worker.stream();
        call.request_headers(&request(&body), false);
        body.as_bytes().chunks(100).for_each(|chunk| call.request_body(chunk, false));
        call.request_body(b"", true);
        assert_eq!((call.reply(), sent(&call) == body), (None, !asks));
    }
}

#[test]
fn budgets_change_the_model_and_ask_for_usage_in_one() {
    let budgets = r#"{"budgets": [{"limit": {"requests": 1}, "window": "day",
        "action": {"downgrade": {"models": {"gpt-4o-mini": "small"}}}}]}"#;
    let worker = Worker::new(budgets);
    worker.exchange(&request(BODY), &[stream()]);
    let call = worker.exchange(&request(BODY), &[stream()]);
    assert_eq!(sent(&call), ASKING.replace("gpt-4o-mini", "small"));
    assert_eq!((call.client(), call.field("decision")), (stripped(), "downgrade".to_owned()));
}

#[test]
fn what_cannot_be_read_as_a_stream_passes_as_it_is() {
    let worker = Worker::new(PASSING);
    let whole = stream();
    for (coding, body) in coded(whole.as_bytes()) {
        let call = worker.ask(&request(BODY));
        call.answer_headers(200, &[("content-encoding", coding), ("content-length", "9")], false);
        assert!(call.answer_header("content-length"), "{coding}");
        for chunk in body.chunks(10) {
            call.answer_body(chunk, false);
        }
        call.answer_body(b"", true);
        assert_eq!(call.client_bytes(), body, "{coding}");
        call.end();
        assert_reported(&call);
    }
    let error = r#"{"error":{"message":"no"}}"#;
    let call = worker.ask(&request(BODY));
    call.answer(400, &[], &[error]);
    assert_eq!(call.client(), error);
    // What is withheld when the stream ends is given out.
    let (head, _) = whole.split_at(whole.find("\"choices\":[]").unwrap());
    let call = worker.exchange(&request(BODY), &[head]);
    assert_eq!(call.client(), head);
}
