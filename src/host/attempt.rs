//! What became of the attempts of calls that Envoy has sent again.
//!
//! A stream sees its last attempt alone. Envoy's router can log each (`upstream_log`), and to this VM
//! too: such a log comes for a plugin, not for a stream. What is known from it to have cost nothing
//! is remembered until the call ends. What is not remembered is estimated, so nothing is lost where
//! no log comes, or too many do.

use std::collections::VecDeque;

use super::abi;
use super::vm::Vm;
use crate::shared::hash;

/// The calls of attempts that have cost nothing, the oldest first.
#[derive(Default)]
pub(super) struct Spared(VecDeque<u64>);

impl Spared {
    fn add(&mut self, call: u64) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(call);
    }

    /// How many attempts of a call there are. They are forgotten.
    fn take(&mut self, call: u64) -> u64 {
        let before = self.0.len();
        self.0.retain(|&own| own != call);
        u64::try_from(before.saturating_sub(self.0.len())).unwrap_or(0)
    }
}

/// Notes an attempt that is over.
pub(super) fn note() {
    let connected = abi::property("upstream\0local_address");
    let connected = connected.is_ok_and(|address| !address.as_slice().is_empty());
    let status = abi::property("response\0code").map(abi::Bytes::into_vec);
    let status = status.ok().and_then(|raw| <[u8; 8]>::try_from(raw).ok());
    let failed = matches!(status.map_or(0, i64::from_le_bytes), 400..=599);
    if (!connected || failed)
        && let Some(call) = call()
    {
        Vm::enter(|vm| vm.spared.add(call));
    }
}

/// How many attempts of the current stream are known to have cost nothing. They are forgotten, so that
/// they do not count for a later one of the same id.
#[inline(never)]
pub(super) fn spared() -> u64 {
    if Vm::enter(|vm| vm.spared.0.is_empty()) == Some(true) {
        return 0;
    }
    let count = |call| Vm::enter(|vm| vm.spared.take(call));
    call().and_then(count).unwrap_or(0)
}

/// What the stream and the logs of its attempts have in common. A client may choose the id, so it
/// counts on its own connection alone.
fn call() -> Option<u64> {
    let id = abi::property("request\0id").ok().filter(|id| !id.as_slice().is_empty())?;
    let connection = abi::property("connection\0id").ok()?;
    Some(hash(&[connection.as_slice(), id.as_slice()].concat()))
}

/// More than fail in the time that a call takes, but where all do. Each takes eight bytes.
const MOST: usize = 4_096;
