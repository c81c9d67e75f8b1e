#!/usr/bin/env bash
# Runs a command under a name and says how long it took: stage.sh NAME COMMAND...
set -euo pipefail

name=$1
shift
echo "── $name"
if "$@"; then
    echo "── $name: passed in $SECONDS s"
else
    status=$?
    echo "── $name: FAILED after $SECONDS s: $*" >&2
    exit "$status"
fi
