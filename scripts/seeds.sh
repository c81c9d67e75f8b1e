#!/usr/bin/env bash
# Runs each fuzz target over its seeds, once, with the stable Rust: whether they hold, and build.
set -euo pipefail

fuzz=tests/fuzz
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/fuzz
for target in "$fuzz"/targets/*.rs; do
    name=$(basename "$target" .rs)
    cargo run --quiet --locked --manifest-path "$fuzz/Cargo.toml" --bin "$name" -- "$fuzz/seeds/$name"/* 2>"$CARGO_TARGET_DIR.log" ||
        { cat "$CARGO_TARGET_DIR.log"; exit 1; }
done
