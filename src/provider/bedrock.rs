//! Bedrock.

use super::dialect::{Binary, Dialect};

pub(super) static CONVERSE: Dialect =
    Dialect { binary: Binary::Frames, ..Dialect::new(&[], |_| None) };
pub(super) static INVOKE: Dialect = Dialect::new(&[], |_| None);
pub(super) static INVOKE_STREAM: Dialect =
    Dialect { binary: Binary::Wrapped, ..Dialect::new(&[], |_| None) };
