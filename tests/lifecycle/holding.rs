//! Calls that wait for their body, in both ways in which Envoy can be configured.

use crate::support::dialect::{ALL, ANTHROPIC, OPENAI};
use crate::support::{Request, Worker};

const HELD: &str = r#"{"tenant": [{"body": "/user"}], "anonymous": "refuse",
    "hold_headers": true, "max_buffered": 1024}"#;
const NOT_HELD: &str = r#"{"tenant": [{"body": "/user"}], "anonymous": "refuse",
    "max_buffered": 1024}"#;

fn request(body: &str) -> Request {
    Request { body: body.into(), ..Request::of(&OPENAI, false) }
}

#[test]
fn where_headers_are_held_the_upstream_hears_nothing_before_the_decision() {
    let worker = Worker::new(HELD).that_lets_headers_be_held();
    let request = request(r#"{"model": "gpt-4o-mini", "user": "acme", "messages": []}"#);
    let call = worker.stream();
    call.request_headers(&request, false);
    for chunk in request.body.chunks(5) {
        call.request_body(chunk, false);
        assert!(call.upstream().headers.is_none());
    }
    call.request_body(b"", true);
    let upstream = call.upstream();
    assert_eq!((upstream.body, upstream.ended), (request.body, true));
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    assert_eq!(call.fields(["tenant", "request_model"]), ["acme", "gpt-4o-mini"]);
}

#[test]
fn where_headers_cannot_be_held_the_body_is() {
    let worker = Worker::new(NOT_HELD);
    let request = request(r#"{"user": "acme"}"#);
    let call = worker.stream();
    call.request_headers(&request, false);
    assert!(call.upstream().headers.is_some());
    for chunk in request.body.chunks(5) {
        call.request_body(chunk, false);
        assert!(call.upstream().body.is_empty(), "held to its end");
    }
    call.request_body(b"", true);
    assert_eq!(call.upstream().body, request.body);
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    assert_eq!(call.field("tenant"), "acme");
}

#[test]
fn a_body_that_names_nobody_is_refused_in_both_modes() {
    for (configuration, held) in [(HELD, true), (NOT_HELD, false)] {
        let worker = Worker::new(configuration);
        let worker = if held { worker.that_lets_headers_be_held() } else { worker };
        for body in ["{}", r#"{"user": ""}"#, r#"{"user": {"a": 1}}"#, "no JSON", "{\"user\": \"ac"]
        {
            for dialect in ALL {
                let request = Request { body: body.into(), ..Request::of(&dialect, false) };
                let call = worker.ask(&request);
                assert_eq!(call.reply().expect(body).status, 401);
                assert_eq!(call.upstream().headers.is_some(), !held);
                assert!(!call.upstream().ended, "{body}");
                call.end();
                assert_eq!(call.fields(["decision", "cost_nano_usd"]), ["refuse", "0"]);
            }
        }
        // Where no body follows there is nothing to wait for.
        assert_eq!(worker.ask(&request("")).reply().unwrap().status, 401);
    }
}

#[test]
fn a_body_that_is_too_large_to_be_held_is_refused() {
    let big = format!(r#"{{"pad": "{}", "user": "acme"}}"#, "x".repeat(2_000));
    for (configuration, held) in [(HELD, true), (NOT_HELD, false)] {
        let worker = Worker::new(configuration);
        let worker = if held { worker.that_lets_headers_be_held() } else { worker };
        let call = worker.stream();
        let request = request(&big);
        call.request_headers(&request, false);
        for chunk in big.as_bytes().chunks(300) {
            call.request_body(chunk, false);
        }
        let reply = call.reply().expect("a refusal");
        assert_eq!((reply.status, reply.details.as_str()), (413, "tollgate_body_too_large"));
        call.end();
        assert_eq!(call.field("decision"), "refuse");

        // What comes whole need not be held.
        assert_eq!(worker.ask(&request).reply(), None);
    }
}

#[test]
fn a_body_is_not_held_once_the_name_is_known_by_other_means() {
    let worker = Worker::new(
        r#"{"tenant": [{"header": "x-tenant-id"}, {"body": "/user"}], "anonymous": "refuse",
            "max_buffered": 1024}"#,
    );
    let call = worker.stream();
    call.request_headers(&Request::of(&OPENAI, false), false);
    call.request_body(&[b'x'; 5_000], false);
    assert_eq!(call.upstream().body.len(), 5_000);
    assert_eq!(call.reply(), None);
}

#[test]
fn a_request_held_to_its_trailers_goes_on_whole() {
    for (configuration, held) in [(HELD, true), (NOT_HELD, false)] {
        let worker = Worker::new(configuration);
        let worker = if held { worker.that_lets_headers_be_held() } else { worker };
        let request = request(r#"{"user": "acme"}"#);
        let call = worker.stream();
        call.request_headers(&request, false);
        call.request_body(&request.body, false);
        assert!(call.upstream().body.is_empty());
        call.request_trailers();
        assert_eq!(call.upstream().body, request.body);
        assert!(call.upstream().ended);

        let nameless = worker.stream();
        nameless.request_headers(&request, false);
        nameless.request_body(b"{}", false);
        nameless.request_trailers();
        assert_eq!(nameless.reply().unwrap().status, 401);
    }
}

#[test]
fn if_envoy_does_not_let_headers_be_held_streams_are_resumed_and_the_worker_learns() {
    let worker = Worker::new(HELD);
    assert_eq!(worker.host(|host| host.tick_period), Some(250));
    let request = request(r#"{"user": "acme"}"#);
    let call = worker.stream();
    call.request_headers(&request, false);
    call.request_body(&request.body, true);
    worker.advance(900);
    worker.tick();
    assert!(call.upstream().headers.is_none(), "still within its patience");

    worker.advance(200);
    worker.tick();
    assert_eq!(call.upstream().body, request.body);
    assert!(call.upstream().ended);
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 1);
    let warnings = |worker: &Worker| {
        worker.log().iter().filter(|line| line.contains("allow_on_headers_stop_iteration")).count()
    };
    assert_eq!(warnings(&worker), 1);
    call.answer(200, &[], &[OPENAI.json()]);
    call.end();
    assert_eq!(call.field("tenant"), "acme");

    // From now on headers pass at once, and the body is held instead.
    let next = worker.ask(&request);
    assert!(next.upstream().ended);
    let nameless = worker.ask(&Request { body: b"{}".to_vec(), ..request });
    assert!(nameless.upstream().headers.is_some() && !nameless.upstream().ended);
    assert_eq!(nameless.reply().unwrap().status, 401);
    worker.advance(5_000);
    worker.tick();
    assert_eq!((worker.counted(&["tollgate_unheld_total"]), warnings(&worker)), (1, 1));
}

#[test]
fn streams_that_end_while_they_are_held_are_not_resumed() {
    let worker = Worker::new(HELD);
    let request = Request { headers: Vec::new(), ..Request::of(&ANTHROPIC, false) };
    let call = worker.stream();
    call.request_headers(&request, false);
    call.break_off("downstream_remote_disconnect");
    worker.advance(5_000);
    worker.tick();
    assert!(call.upstream().headers.is_none());
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 0);
    assert_eq!(call.fields(["usage", "cost_nano_usd"]), ["absent", "0"]);
}

#[test]
fn a_slow_first_client_proves_nothing() {
    let worker = Worker::new(HELD).that_lets_headers_be_held();
    let slow = worker.stream();
    slow.request_headers(&request("x"), false);
    worker.advance(1_100);
    worker.tick();
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 1);
    worker.advance(500);
    slow.request_body(br#"{"user": "acme"}"#, true);
    assert_eq!(slow.upstream().body, br#"{"user": "acme"}"#);
    let next = worker.stream();
    next.request_headers(&request("x"), false);
    assert!(next.upstream().headers.is_none(), "headers are held as before");
}

#[test]
fn a_slow_body_is_waited_for_while_its_parts_come() {
    let worker = Worker::new(HELD).that_lets_headers_be_held();
    let call = worker.stream();
    call.request_headers(&request("x"), false);
    call.request_body(br#"{"user": "#, false);
    worker.advance(60_000);
    worker.tick();
    assert!(call.upstream().headers.is_none());
    call.request_body(br#""acme"}"#, true);
    assert_eq!(call.upstream().body, br#"{"user": "acme"}"#);
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 0);
}

#[test]
fn one_slow_client_does_not_change_how_others_are_served() {
    let worker = Worker::new(HELD).that_lets_headers_be_held();
    let request = request(r#"{"user": "acme"}"#);
    assert!(worker.ask(&request).upstream().ended);
    let slow = worker.stream();
    slow.request_headers(&request, false);
    worker.advance(5_000);
    worker.tick();
    assert!(slow.upstream().headers.is_none());
    let next = worker.stream();
    next.request_headers(&request, false);
    assert!(next.upstream().headers.is_none(), "still held");
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 0);
}

#[test]
fn trailers_end_the_wait_for_a_body_that_never_came() {
    let worker = Worker::new(HELD).that_lets_headers_be_held();
    let call = worker.stream();
    call.request_headers(&request(""), false);
    call.request_trailers();
    assert_eq!(call.reply().unwrap().status, 401);
    worker.advance(5_000);
    worker.tick();
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 0);
}

#[test]
fn an_answer_that_begins_early_lets_no_undecided_body_through() {
    let worker = Worker::new(NOT_HELD);
    for (body, passes) in [(r#"{"user": "acme"}"#, true), ("{}", false)] {
        let request = request(body);
        let call = worker.stream();
        call.request_headers(&request, false);
        call.answer_headers(200, &[], false);
        let (head, tail) = request.body.split_at(1);
        call.request_body(head, false);
        call.request_body(tail, true);
        assert_eq!(call.upstream().ended, passes, "{body}");
        call.answer_body(&OPENAI.json(), true);
        call.end();
        assert_eq!(call.field("decision"), if passes { "pass" } else { "refuse" });
    }
}
