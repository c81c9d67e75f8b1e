"""A newer price book: from a file of the quota service to all workers of a running Envoy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..bootstrap import ROOT
from ..envoy import total
from ..quota import Quota
from ..upstream import Upstream
from .house import House, customers, opened

BOOK: dict[str, Any] = json.loads((ROOT / "src" / "price" / "book.json").read_text())
SEEN_IN = 10.0


def write(file: Path, version: str, nanos: int) -> None:
    """The built-in book, in which every rate is so many nano-dollars per million."""
    book = json.loads(json.dumps(BOOK)) | {"version": version}
    for provider in book["providers"]:
        for model in provider["models"]:
            for prices in [*model["prices"], *model.get("variants", [])]:
                prices["rates"] = {unit: [nanos] for unit in prices["rates"]}
    file.write_text(json.dumps(book))


def price(house: House) -> tuple[str, int]:
    """The version of the prices of one call, and its cost."""
    row = house.post("rich-0").row
    return row["price_version"], int(row["cost_nano_usd"])


def taken(house: House, version: str) -> tuple[str, int]:
    """The first price by this version."""
    end = time.monotonic() + SEEN_IN
    while time.monotonic() < end:
        if (told := price(house))[0] == version:
            return told
        time.sleep(0.1)
    raise AssertionError(f"{version} is not taken within {SEEN_IN} s")


@pytest.fixture
def priced(tmp_path: Path) -> Iterator[tuple[Quota, Path]]:
    file = tmp_path / "book.json"
    write(file, "2999-01-01", 1_000_000_000)
    with Quota(customers(), options=("--prices", str(file))) as quota:
        yield quota, file


def test_all_workers_take_a_newer_book_without_a_reload(
    priced: tuple[Quota, Path], upstream: Upstream
) -> None:
    quota, file = priced
    tokens = 100 + 25
    with opened(upstream, quota) as house:
        assert taken(house, "2999-01-01")[1] == tokens * 1_000
        write(file, "2999-01-02", 3_000_000_000)
        assert taken(house, "2999-01-02")[1] == tokens * 3_000
        time.sleep(1)
        # Each connection may be of another worker.
        house.storm(["rich-1"] * 64, 64)
        house.envoy.rows_when(lambda rows: sum(row["tenant"] == "rich-1" for row in rows) == 64)
        versions = {row["price_version"] for row in house.envoy.rows() if row["tenant"] == "rich-1"}
        assert versions == {"2999-01-02"}
        assert total(house.envoy.metrics(), "tollgate_prices_refused_total") == 0
        assert total(house.envoy.metrics(), "tollgate_priced_total", prices="2999-01-02") >= 65
        ledger = house.agree()
        assert {row["prices"] for row in ledger.values()} >= {"2999-01-01", "2999-01-02"}


def test_a_restarted_envoy_has_the_newer_book_after_its_first_sync(
    priced: tuple[Quota, Path], upstream: Upstream
) -> None:
    quota, _ = priced
    for _ in range(2):
        with opened(upstream, quota) as house:
            assert price(house)[0] in {BOOK["version"], "2999-01-01"}
            assert taken(house, "2999-01-01")
