//! Checks a Tollgate configuration offline.
fn main() {}
