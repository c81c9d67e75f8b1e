//! An Envoy that refuses, and callbacks that no one expects: nothing breaks, and calls go through.

use crate::PRICED;
use crate::support::dialect::{ALL, OPENAI};
use crate::support::{Order, Request, Status, Worker};

const FUNCTIONS: [&str; 16] = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_set_effective_context",
    "proxy_continue_stream",
    "proxy_get_buffer_bytes",
    "proxy_get_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_send_local_response",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
];

const REASONS: [Status; 4] =
    [Status::NotFound, Status::BadArgument, Status::CasMismatch, Status::InternalFailure];

#[test]
fn a_function_that_fails_stops_no_call() {
    let configuration = r#"{"tenant": [{"header": "x-tenant-id"}, {"body": "/user"}],
        "strip": ["x-tenant-id"], "feature": [{"san": "dns"}], "hold_headers": true}"#;
    for function in FUNCTIONS {
        for reason in REASONS {
            let worker = Worker::new(configuration).that_lets_headers_be_held();
            worker.fail(Some(function), reason);
            for dialect in ALL {
                let request = Request::of(&dialect, true).with("accept-encoding", "br");
                let call = worker.exchange(&request, &dialect.sse());
                assert!(call.upstream().ended, "{function} {reason:?}");
                let sent = String::from_utf8(call.upstream().body).unwrap();
                let sent = sent.replace(r#","stream_options":{"include_usage":true}"#, "");
                assert_eq!(sent.as_bytes(), request.body, "{function} {reason:?}");
            }
            worker.tick();
        }
    }
}

#[test]
fn an_envoy_that_refuses_everything_stops_no_call() {
    for reason in REASONS {
        let worker = Worker::new(PRICED);
        worker.fail(None, reason);
        let request = Request::of(&OPENAI, true);
        let call = worker.exchange(&request, &OPENAI.sse());
        assert!(call.upstream().ended && call.row().is_empty());
        assert!(worker.counters().is_empty());
        assert!(!worker.configure("no JSON") || worker.configure(""));
        worker.tick();
    }
}

#[test]
fn a_refusal_that_cannot_be_given_lets_the_call_pass() {
    let worker = Worker::new(r#"{"tenant": [{"header": "x-org"}], "anonymous": "refuse"}"#);
    worker.fail(Some("proxy_send_local_response"), Status::InternalFailure);
    let call = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
    assert!(call.upstream().ended);
}

#[test]
fn a_stream_that_cannot_be_resumed_is_not_counted_as_such() {
    let worker = Worker::new(
        r#"{"tenant": [{"body": "/user"}], "anonymous": "refuse", "hold_headers": true}"#,
    );
    let call = worker.ask(&Request::of(&OPENAI, false));
    worker.fail(Some("proxy_continue_stream"), Status::BadArgument);
    worker.advance(5_000);
    worker.tick();
    assert_eq!(worker.counted(&["tollgate_unheld_total"]), 0);
    call.break_off("downstream_remote_disconnect");
}

#[test]
fn without_shared_data_calls_are_counted_as_other_and_have_ids() {
    let worker = Worker::new(PRICED);
    worker.fail(Some("proxy_set_shared_data"), Status::InternalFailure);
    let request = Request::of(&OPENAI, false);
    let ids = [(); 2].map(|()| worker.exchange(&request, &[OPENAI.json()]).field("call_id"));
    assert_ne!(ids[0], ids[1]);
    assert_eq!(worker.counted(&["tenant=.=other;", "requests_total"]), 2);
}

#[test]
fn callbacks_about_streams_that_are_not_there_do_nothing() {
    let worker = Worker::new(PRICED);
    let request = Request::of(&OPENAI, false);
    // The host knows the stream, the filter has forgotten it.
    let call = worker.stream();
    call.end();
    call.request(&request);
    call.answer(200, &[], &[OPENAI.json()]);
    call.answer_trailers();
    for order in [Order::DoneDeleteLog, Order::LogDoneDelete, Order::DoneLogDelete] {
        call.end_in(order);
    }
    assert!(call.upstream().ended && call.row().is_empty());
    assert!(worker.counters().is_empty());
}

#[test]
fn a_plugin_that_is_gone_lets_its_streams_pass() {
    let worker = Worker::new(PRICED);
    let asked = worker.ask(&Request::of(&OPENAI, false));
    worker.forget_plugin();
    asked.answer(200, &[], &[OPENAI.json()]);
    asked.end();
    assert_eq!(asked.field("usage"), "reported", "a call that has begun is settled");
    let late = worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]);
    assert!(late.upstream().ended && late.row().is_empty());
    assert!(!worker.configure("{}"));
    worker.tick();
}
