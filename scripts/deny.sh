#!/usr/bin/env bash
# Checks the dependencies of the filter against deny.toml, and those of the programs beside it
# against quota/deny.toml. The advisories need the database on GitHub: where that
# is out of reach, the rest is checked, and a line says what was not.
set -euo pipefail

version=$1
database=https://github.com/RustSec/advisory-db

if deny=$(command -v cargo-deny); then
    :
elif deny=.cache/bin/cargo-deny && [ ! -x $deny ]; then
    echo "building cargo-deny $version, once: a minute or two"
    # Unoptimized: it builds in a third of the time, and runs for a second.
    CARGO_PROFILE_DEV_DEBUG=0 "${CARGO:-cargo}" install --quiet --locked --debug \
        --root .cache --version "$version" cargo-deny
fi
offline=() what=()
if ! GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1; then
    offline=(--offline) what=(bans licenses sources)
    # Offline it needs the packages of all platforms, of which builds have fetched but one's.
    "${CARGO:-cargo}" fetch --quiet --locked
    echo "advisories: NOT CHECKED, $database is out of reach"
fi
"$deny" --locked "${offline[@]}" check "${what[@]}"
for program in check quota; do
    "$deny" --locked "${offline[@]}" --manifest-path $program/Cargo.toml \
        --config quota/deny.toml check "${what[@]}"
done
