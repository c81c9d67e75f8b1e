#!/usr/bin/env bash
# Fuzzes each target of tests/fuzz for so many seconds: fuzz.sh SECONDS. Needs a nightly Rust.
set -euo pipefail

seconds=$1
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "adding a nightly Rust, which cargo-fuzz needs"
    rustup toolchain install nightly --profile minimal
fi
if ! command -v cargo-fuzz >/dev/null && [ ! -x .cache/bin/cargo-fuzz ]; then
    echo "building cargo-fuzz, once"
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root .cache cargo-fuzz
fi
export PATH=$PATH:$PWD/.cache/bin

for target in $(cargo fuzz list --fuzz-dir tests/fuzz); do
    mkdir -p "tests/fuzz/corpus/$target"
    scripts/stage.sh "fuzz $target" cargo +nightly fuzz run --fuzz-dir tests/fuzz "$target" \
        "tests/fuzz/corpus/$target" "tests/fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=1024 -dict=tests/fuzz/words.dict -print_funcs=0 -verbosity=0
done
