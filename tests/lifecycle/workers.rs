//! Several workers of one process: VMs of their own, shared data between them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::dialect::OPENAI;
use crate::support::{Process, Request, Worker};

fn workers<const N: usize>(configuration: &str) -> [Worker; N] {
    let process: Arc<Mutex<Process>> = Arc::default();
    core::array::from_fn(|_| {
        let worker = Worker::in_process(&process);
        assert!(worker.configure(configuration));
        worker
    })
}

#[test]
fn no_two_calls_have_the_same_id() {
    let ids: BTreeSet<_> = workers::<4>("{}")
        .iter()
        .flat_map(|worker| {
            let id = |_| {
                worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]).field("call_id")
            };
            (0..10).map(id).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids.len(), 40);
    let processes: BTreeSet<_> = ids.iter().map(|id| id.split('-').next().unwrap()).collect();
    assert_eq!(processes.len(), 1, "one process, by whichever worker named it first: {ids:?}");
}

#[test]
fn two_gateways_that_start_at_once_make_different_ids() {
    let id = |node: &'static [u8]| {
        let worker = Worker::new("{}");
        worker.host(|host| host.node = node.to_vec());
        worker.exchange(&Request::of(&OPENAI, false), &[OPENAI.json()]).field("call_id")
    };
    assert_ne!(id(b"gateway-1"), id(b"gateway-2"));
}

#[test]
fn workers_keep_within_the_bounds_together_and_lose_no_count() {
    let configuration = r#"{"tenant": [{"header": "x-tenant-id"}],
        "metrics": {"max_series": 100, "max_values": {"tenant": 7}}}"#;
    let workers = workers::<4>(configuration);
    thread::scope(|scope| {
        for (at, worker) in workers.iter().enumerate() {
            scope.spawn(move || {
                for call in 0..50 {
                    let tenant = format!("t{}", (call * 3 + at) % 20);
                    let request = Request::of(&OPENAI, false).without("x-tenant-id");
                    worker.exchange(&request.with("x-tenant-id", tenant), &[OPENAI.json()]);
                }
            });
        }
    });
    let counted = &workers[0];
    assert_eq!(counted.counted(&["tollgate_requests_total"]), 200);
    let tenants: BTreeSet<_> = counted
        .counters()
        .into_keys()
        .map(|name| name.split(";.;").next().unwrap().to_owned())
        .filter(|name| name.starts_with("tenant") && name != "tenant=.=other")
        .collect();
    // Two workers that take in the same tenant at once may use up two places.
    assert!((1..=7).contains(&tenants.len()), "{tenants:?}");
}

#[test]
fn a_worker_knows_what_another_has_admitted() {
    let configuration = r#"{"tenant": [{"header": "x-tenant-id"}],
        "metrics": {"max_values": {"tenant": 1}}}"#;
    let [one, two] = workers(configuration);
    let of = |tenant: &str| {
        Request::of(&OPENAI, false).without("x-tenant-id").with("x-tenant-id", tenant)
    };
    one.exchange(&of("first"), &[OPENAI.json()]);
    two.exchange(&of("second"), &[OPENAI.json()]);
    two.exchange(&of("first"), &[OPENAI.json()]);
    let counted = |tenant: &str| one.counted(&[&format!("tenant=.={tenant};"), "requests_total"]);
    assert_eq!(["first", "second", "other"].map(counted), [2, 0, 1]);
}
