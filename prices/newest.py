"""Pins the newest genai-prices and litellm, of which the price book is made, and says what is new.

Asks the package index through pip, which downloads neither in full. The pins are all that changes:
a run that stays on them gives the same book.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE, CROSSCHECK = HERE / 'requirements.txt', HERE / 'crosscheck.txt'
# litellm's wheels differ by platform, their file of prices does not: one stands for all.
WHEEL = [
    '--only-binary=:all:', '--platform=manylinux_2_28_x86_64', '--python-version=3.11',
    '--implementation=cp',
]  # fmt: skip


def main() -> int:
    """Asks, writes both pins, and prints what they were."""
    for file, package in ((SOURCE, 'genai-prices'), (CROSSCHECK, 'litellm')):
        text = file.read_text()
        pinned = repin(text, package, newest(package))
        file.write_text(pinned)
        was, now = version(text, package), version(pinned, package)
        print(f'{package} {was}, the newest' if was == now else f'{package} {was} -> {now}')
    return 0


def newest(package: str) -> dict[str, Any]:
    """What pip would install: its report of the one package."""
    pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    dry = ['--dry-run', '--ignore-installed', '--no-deps', '--target=unused', '--report=-']
    done = subprocess.run([*pip, *dry, *WHEEL, package], stdout=subprocess.PIPE, check=True)
    (found,) = json.loads(done.stdout)['install']
    return found


def repin(text: str, package: str, found: dict[str, Any]) -> str:
    """The file with another version pinned, and its hash where it had one."""
    digest = found['download_info']['archive_info']['hashes']['sha256']
    line = f'{package}=={found["metadata"]["version"]}'
    old = re.search(rf'^{re.escape(package)}==\S+( --hash=sha256:\w+)?$', text, re.MULTILINE)
    if old is None:
        raise ValueError(f'no pin of {package}')
    return text[: old.start()] + line + (f' --hash=sha256:{digest}' if old[1] else '') + text[old.end() :]


def version(text: str, package: str) -> str:
    """The version that is pinned."""
    return text.split(f'{package}==', 1)[1].split()[0]


if __name__ == '__main__':
    sys.exit(main())
