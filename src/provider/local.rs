//! Servers that one runs oneself: Ollama, text-generation-inference.

use super::dialect::Dialect;

pub(super) static OLLAMA: Dialect = Dialect::new(&[], |_| None);
pub(super) static TGI: Dialect = Dialect::new(&[], |_| None);
