//! Finds a few values in a stream of JSON bytes, wherever it is cut.
//!
//! A [`Scanner`] follows the structure of the text and keeps nothing of it but the values that its
//! [`Spec`] names, so a gigabyte of answer costs the memory of one usage object. Structure decides:
//! a `"usage"` inside a string, or at another depth, is not the one asked for.
//!
//! Several documents may follow each other, with or without line ends between them.

mod path;
mod scan;
mod walk;

pub use path::{Full, How, Pick, Spec};
pub use scan::{Found, Scanner};
