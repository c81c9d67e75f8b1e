#!/usr/bin/env bash
# Checks the dependencies against deny.toml. The advisories need the database on GitHub: where that
# is out of reach, the rest is checked, and a line says what was not.
set -euo pipefail

version=$1
database=https://github.com/RustSec/advisory-db

if deny=$(command -v cargo-deny); then
    :
elif deny=.cache/bin/cargo-deny && [ ! -x $deny ]; then
    echo "building cargo-deny $version, once: some minutes"
    "${CARGO:-cargo}" install --quiet --locked --root .cache --version "$version" cargo-deny
fi
if GIT_TERMINAL_PROMPT=0 timeout 20 git ls-remote --quiet "$database" HEAD >/dev/null 2>&1; then
    exec "$deny" --locked check
fi
"$deny" --locked --offline check bans licenses sources
echo "advisories: NOT CHECKED, $database is out of reach"
