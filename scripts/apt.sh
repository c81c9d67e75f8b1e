#!/usr/bin/env bash
# Installs Debian packages, as root; as anyone else says what to type: apt.sh WHY PACKAGE...
set -euo pipefail

why=$1
shift
if ! command -v apt-get >/dev/null; then
    echo "$why: please install it with your system's package manager" >&2
    exit 1
elif [ "$(id -u)" -ne 0 ]; then
    echo "$why. This needs root once: sudo apt-get install $*" >&2
    exit 1
fi
echo "$why: as root, apt-get install $*"
if ! apt-get install -qq -y --no-install-recommends "$@" >/dev/null 2>&1; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
fi
