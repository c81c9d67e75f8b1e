#!/usr/bin/env bash
# Makes the virtual environment .venv with $PYTHON, if it is not there.
set -euo pipefail

[ -x .venv/bin/pip ] && exit
scripts=$(dirname "$0")
python=${PYTHON:-python3}

if ! command -v "$python" >/dev/null; then
    "$scripts/apt.sh" "Python is missing" python3 python3-venv
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Python 3.11 or newer is needed, this is $("$python" --version): set PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$scripts/apt.sh" "Python's venv module is missing" python3-venv
fi
"$python" -m venv .venv
