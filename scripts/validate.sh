#!/usr/bin/env bash
# Lets Envoy itself check each complete configuration in envoy/, with the filter in it.
#
# The paths in them are those of an installation: here they become the built .wasm.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for file in envoy/*.yaml; do
    grep -q '^static_resources:' "$file" || continue
    sed "s|/etc/envoy/tollgate.wasm|$PWD/target/tollgate.wasm|" "$file" >"$work/envoy.yaml"
    "$ENVOY" --mode validate --log-level error --config-path "$work/envoy.yaml" >/dev/null
    echo "$file: Envoy takes it"
done
