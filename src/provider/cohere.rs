//! Cohere.

use super::dialect::Dialect;

pub(super) static COHERE: Dialect = Dialect::new(&[], |_| None);
