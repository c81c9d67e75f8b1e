# ruff: noqa: RUF001  # the page writes a real minus and a real apostrophe
"""The page in a real browser, over a service that really runs.

The history is written into the service's database; what is new comes by sync, as from a gateway.
Chromium is driven by the WebDriver protocol. `SCREENSHOTS=docs` keeps pictures of the page there.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DOLLAR = 10**9
WAIT = 10.0
TOKEN, SECRET = "an-admin-token", "a-gateway-secret"
EVIL = "<img src=x onerror=alert(1)>"

# id, name, plan, first day of the plan, nano-dollars of this month so far.
CUSTOMERS = [
    ("hooli", "Hooli", "Enterprise", "2026-05-01", 402_110_000_000),
    ("globex", "Globex", "Business", "2026-06-01", 112_930_000_000),
    ("megaco", "MegaCo", "Pro", "2026-05-01", 87_400_000_000),
    ("umbrella", "Umbrella Health", "Business", "2026-07-01", 64_400_000_000),
    ("soylent", "Soylent Foods", "Pro", "2026-05-01", 31_500_000_000),
    ("initech", "Initech", "Pro", "2026-08-01", 21_070_000_000),
    ("stark", "Stark Labs", "Business", "2026-09-01", 8_230_000_000),
    ("acme", "Acme Corp", "Pro", "2026-05-01", 3_200_000_000),
    ("startupxy", "StartupXY", "Free", "2026-10-01", 800_000_000),
    ("wonka", "Wonka & Sons", "Pro", "2026-11-01", 0),
]
PRICES = {"Free": 0, "Pro": 49, "Business": 299, "Enterprise": 1_900}
SPIKES = {("megaco", 16): 7, ("megaco", 17): 6, ("globex", 19): 5}
MODELS = [
    ("gpt-5", "openai", 48),
    ("claude-sonnet-4-5", "anthropic", 30),
    ("gemini-2.5-pro", "google", 15),
    ("gpt-5-mini", "openai", 7),
]
FEATURES = ["document-analysis", "chat", "search", ""]


class Receiver:
    """Takes alerts: Slack's are welcome, the other webhook is out of order."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append((self.path, dict(self.headers), body))
                self.send_response(200 if self.path == "/slack" else 503)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Service:
    """A quota service with a history."""

    def __init__(self, folder: Path) -> None:
        self.receiver = Receiver()
        self.folder = folder
        self.config = folder / "customers.yaml"
        self.config.write_text(customers_yaml(self.receiver.url))
        self.gateway, self.admin = (f"http://127.0.0.1:{port}" for port in self._start())
        fill(folder / "tollgate.db")

    def _start(self) -> tuple[int, int]:
        ports = free_port(), free_port()
        listen = [f"--{name}=127.0.0.1:{port}" for name, port in zip(("listen", "admin"), ports, strict=True)]
        environment = {**os.environ, "TOLLGATE_ADMIN_TOKEN": TOKEN, "TOLLGATE_GATEWAY_SECRET": SECRET}
        environment["WEBHOOK_SECRET"] = "whsec_" + base64.b64encode(b"a secret of 24 bytes....").decode()
        files = [f"--config={self.config}", f"--db={self.folder / 'tollgate.db'}"]
        command = [str(binary()), "serve", *files, *listen, f"--now={NOW:%Y-%m-%dT%H:%M:%SZ}"]
        self.process = subprocess.Popen(command, env=environment)
        wait_for(lambda: answers(f"http://127.0.0.1:{ports[1]}/login"))
        return ports

    def sync(self, seq: int, *rows: dict[str, Any]) -> None:
        """Reports calls, as a gateway does."""
        ask = {"v": 1, "gateway": "g-1", "node": "test", "worker": 0, "seq": seq, "rows": list(rows)}
        headers = {"authorization": f"Bearer {SECRET}"}
        httpx.post(f"{self.gateway}/v1/sync", json=ask, headers=headers).raise_for_status()

    def report(self, path: str) -> httpx.Response:
        """A report, as an admin gets it."""
        return httpx.get(self.admin + path, headers={"authorization": f"Bearer {TOKEN}"})

    def stop(self) -> None:
        """Ends it."""
        self.process.terminate()
        self.process.wait(10)
        self.receiver.server.shutdown()


class Browser:
    """Chromium, driven by the WebDriver protocol."""

    def __init__(self, profile: Path) -> None:
        port = free_port()
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}", "--log-level=OFF"], stdout=subprocess.DEVNULL
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/status"))
        quiet = "disable-gpu disable-quic no-first-run disable-sync"
        quiet += " disable-background-networking disable-component-update"
        flags = [
            "--headless",
            "--no-sandbox",
            *(f"--{flag}" for flag in quiet.split()),
            f"--user-data-dir={profile}",
        ]
        wanted = {"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.http.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{answer.json()['value']['sessionId']}"

    def _post(self, path: str, **body: Any) -> Any:
        answer = self.http.post(self.session + path, json=body).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(answer["message"])
        return answer

    def go(self, url: str) -> None:
        """Opens an address."""
        self._post("/url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self._post("/execute/sync", script=script, args=list(arguments))

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own."""
        return self._post("/goog/cdp/execute", cmd=command, params=parameters)

    def type(self, selector: str, text: str) -> None:
        """Types into a field, in the place of what it held."""
        element = self._post("/element", using="css selector", value=selector)
        self._post(f"/element/{next(iter(element.values()))}/clear")
        self._post(f"/element/{next(iter(element.values()))}/value", text=text)

    def click(self, selector: str) -> None:
        """Clicks on what a person would click on."""
        element = self._post("/element", using="css selector", value=selector)
        self._post(f"/element/{next(iter(element.values()))}/click")

    def texts(self, selector: str) -> list[str]:
        """What can be read there, of what is shown."""
        found = "return [...document.querySelectorAll(arguments[0])]"
        texts = self.run(f"{found}.filter(e => e.offsetParent).map(e => e.innerText)", selector)
        return [" ".join(text.split()) for text in texts]

    def complaints(self) -> list[str]:
        """What went to the console, such as breaches of the security policy."""
        entries = self._post("/se/log", type="browser")
        return [entry["message"] for entry in entries]

    def look(self, width: int, height: int, scheme: str) -> None:
        """Takes the shape of a screen."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.cdp("Emulation.setDeviceMetricsOverride", **size)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        """A picture of the screen."""
        shot = self.cdp("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))

    def stop(self) -> None:
        """Ends it."""
        self.http.delete(self.session)
        self.driver.terminate()
        self.driver.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("quota"))
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def signed_in(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not shutil.which("chromedriver"):
        pytest.skip("no chromedriver: install chromium and chromium-driver")
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.go(service.admin + "/")
        browser.type("#token", TOKEN)
        browser.click("button[type=submit]")
        wait_for(lambda: browser.texts("#customers h2"))
        yield browser


@pytest.fixture
def page(service: Service, signed_in: Browser) -> Browser:
    """The page as it opens, on a laptop."""
    signed_in.look(1280, 900, "light")
    signed_in.go(service.admin + "/")
    wait_for(lambda: signed_in.run("return Boolean(window.Chart && Chart.getChart('daily'))"))
    return signed_in


def row(page: Browser, customer: str) -> list[str]:
    return page.texts(f'#customer-table tr[data-customer="{customer}"] > *')


def names(page: Browser) -> list[str]:
    return page.texts("#customer-table tbody .name")


def test_the_three_rows_of_the_article(page: Browser) -> None:
    assert row(page, "megaco")[:6] == ["3", "MegaCo", "Pro", "$87.40", "$49", "−78 %"]
    assert row(page, "acme")[1:6] == ["Acme Corp", "Pro", "$3.20", "$49", "93 %"]
    assert row(page, "startupxy")[1:6] == ["StartupXY", "Free", "$0.80", "$0", "−100 %"]


def test_losses_are_red_and_gains_are_not(page: Browser) -> None:
    script = "return getComputedStyle(document.querySelector(arguments[0])).color"
    colours = [page.run(script, f'tr[data-customer="{who}"] > :nth-child(6)') for who in ("megaco", "acme")]
    assert colours == ["rgb(194, 31, 50)", "rgb(23, 27, 36)"]


def test_customers_are_sorted_by_what_is_clicked(page: Browser) -> None:
    assert names(page)[:3] == ["Hooli", "Globex", "MegaCo"]
    page.click("#customer-table th:nth-child(6) button")
    assert names(page)[0] == "Wonka & Sons"
    page.click("#customer-table th:nth-child(6) button")
    assert names(page)[:2] == ["StartupXY", "MegaCo"]
    page.click("#customer-table th:nth-child(2) button")
    assert names(page)[:2] == ["Acme Corp", "Globex"]
    assert page.run("return document.querySelector('th[aria-sort]').innerText.trim()").startswith("Customer")


def test_customers_are_found_by_name_and_plan(page: Browser) -> None:
    page.type("#search", "mega")
    assert names(page) == ["MegaCo"]
    page.type("#search", "enterprise")
    assert names(page) == ["Hooli"]
    page.type("#search", "nobody of that name")
    assert names(page) == []
    assert page.texts("#nothing-found") == ["No customer’s name or plan has that in it."]


def test_what_is_not_attributed_is_shown(page: Browser) -> None:
    assert page.texts("tr.anonymous > *")[1:3] == ["Anonymous calls that no customer’s name came with", ""]
    assert page.texts("tr.anonymous td.strong") == ["$6.12+"]
    tiles = dict(zip(page.texts(".tile h2"), page.texts(".tile .figure"), strict=True))
    assert tiles["Attributed cost"] == "99.1 %"
    assert tiles["Cost more than they pay"] == "2"


def test_the_chart_shows_days_and_spikes_split_as_asked(page: Browser) -> None:
    series = "return Chart.getChart('daily').data.datasets.map(d => d.label)"
    assert page.run(series)[0] == "Hooli"
    assert any(text.startswith("▲ MegaCo 17 Nov: $") for text in page.texts(".spikes li"))
    page.click('[data-split="model"]')
    wait_for(lambda: page.run(series)[0] == "gpt-5")
    page.run(
        "const select = document.querySelector('#daily-customer');"
        "select.value = 'megaco'; select.dispatchEvent(new Event('change'));"
    )
    bars = "Chart.getChart('daily').data.datasets.filter(d => d.type === 'bar')"
    total = f"return {bars}.flatMap(d => d.data).reduce((a, b) => a + b)"
    wait_for(lambda: page.run(total) < 150)
    page.click('[data-split="customer"]')
    wait_for(lambda: page.run(series) == ["MegaCo", "Spike"])


def test_budgets_and_alerts_show_where_they_stand(service: Service, page: Browser) -> None:
    assert page.texts('[data-live="budgets"] li')[0].startswith(
        "MegaCo this month · soft 100 % 2,000 of 2,000 AI analyses"
    )
    wait_for(lambda: "Slack: delivered" in page.texts('[data-live="alerts"] li')[0])
    failed = re.compile(r"Webhook: attempt \d failed, answered 503; again in \d+ s")
    wait_for(lambda: failed.search(page.texts('[data-live="alerts"] li')[0]))
    slack = [body for path, _, body in service.receiver.received if path == "/slack"]
    assert [json.loads(body)["text"] for body in slack] == [
        ":rotating_light: MegaCo has used up its 2,000 AI analyses for this month: 2,000."
    ]


def test_a_call_shows_on_the_open_page_within_five_seconds(service: Service, page: Browser) -> None:
    began = int(NOW.timestamp() * 1_000)
    call = {
        "v": 1,
        "id": "c-1",
        "t": began,
        "ms": 5,
        "tenant": "wonka",
        "provider": "openai",
        "api": "openai.chat",
    }
    call |= {
        "model": "gpt-5",
        "status": 200,
        "usage": "reported",
        "cost": 1_230_000_000,
        "prices": "v1",
        "decision": "pass",
    }
    call |= {"leaves": {"input": 7, "output": 1}}
    service.sync(1, {"call": call})
    sent = time.monotonic()
    wait_for(lambda: row(page, "wonka")[3] == "$1.23")
    assert time.monotonic() - sent < 5


def test_a_refused_file_is_said_and_names_stay_text(service: Service, page: Browser) -> None:
    good = service.config.read_text()
    try:
        service.config.write_text(good.replace("Wonka & Sons", EVIL))
        wait_for(lambda: EVIL in names(page))
        service.config.write_text(good.replace('price: "49"', "price: much"))
        wait_for(lambda: page.texts(".note.bad"))
        assert "plans[1].price" in page.texts(".note.bad")[0]
    finally:
        service.config.write_text(good)
    wait_for(lambda: not page.texts(".note.bad"))
    assert page.complaints() == []


def test_reports_say_what_the_page_says(service: Service) -> None:
    margin = service.report("/v1/reports/margin").json()
    line = next(line for line in margin["lines"] if line["customer"] == "megaco")
    assert (line["cost_nano_usd"], line["margin_percent"]) == (87_400_000_000, -78)
    days = service.report("/v1/reports/costs?by=day,customer&customer=megaco").json()
    assert (
        sum(line["cost_nano_usd"] for line in days["lines"])
        == days["total"]["cost_nano_usd"]
        == 87_400_000_000
    )
    first = service.report("/v1/reports/costs?by=day,customer,model&limit=7").json()
    assert (len(first["lines"]), first["next_offset"]) == (7, 7)
    table = service.report("/v1/reports/margin?format=csv&from=2026-10-01&to=2026-10-31").text.splitlines()
    assert table[0].startswith("customer,customer_name,plan,")
    assert len(table) == 1 + len(CUSTOMERS) + 1
    assert service.report("/v1/reports/costs?by=colour").status_code == 400
    assert httpx.get(service.admin + "/v1/reports/margin").status_code == 401


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("page", 1280, "light"), ("page-dark", 1280, "dark"), ("page-phone", 390, "light")],
)
def test_pictures(page: Browser, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    folder = ROOT / os.environ["SCREENSHOTS"] if "SCREENSHOTS" in os.environ else tmp_path
    page.look(width, 900, scheme)
    height = page.run("return document.documentElement.scrollHeight")
    page.look(width, height, scheme)
    time.sleep(1)  # for the charts to take their new size
    page.picture(folder / f"{name}.png")
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert (folder / f"{name}.png").stat().st_size > 50_000


def test_who_signs_out_is_out(service: Service, page: Browser) -> None:
    page.click(".top form button")
    wait_for(lambda: page.texts("#token"))
    page.type("#token", "not the token")
    page.click("button[type=submit]")
    wait_for(lambda: page.texts(".note.bad") == ["That is not the admin token."])
    page.go(service.admin + "/")
    assert page.texts("#customers") == []


def customers_yaml(receiver: str) -> str:
    """The file of customers."""
    lines = ["business: { name: Northwind Software, time_zone: Europe/Berlin }", "plans:"]
    for name, price in PRICES.items():
        budget = (
            ", unit: { name: AI analyses }, budgets: [{ limit: { units: 2000 }, window: month }]"
            if name == "Pro"
            else ""
        )
        lines.append(f'  - {{ name: {name}, price: "{price}"{budget} }}')
    lines.append("customers:")
    for id_, name, plan, since, _ in CUSTOMERS:
        lines.append(f'  - {{ id: {id_}, name: "{name}", plan: [{{ plan: {plan}, from: {since} }}] }}')
    lines.append("alerts:")
    lines.append(f'  slack: {{ url: "{receiver}/slack" }}')
    lines.append(f'  webhook: {{ url: "{receiver}/webhook", secret_env: WEBHOOK_SECRET }}')
    return "\n".join(lines) + "\n"


def fill(path: Path) -> None:
    """Writes the history: days since October, months since May, a budget used up, its alert."""
    with sqlite3.connect(path, timeout=20) as db:
        put = "INSERT INTO hourly VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)"
        db.executemany(put, list(history()))
        start = int(datetime(2026, 10, 31, 23, tzinfo=UTC).timestamp())
        columns = "(budget, window_start, settled, overrun, on_loan, suspense)"
        balance = f"INSERT INTO balance {columns} VALUES (?, ?, ?, 0, 0, 0)"
        db.execute(balance, ("megaco/units-month", start, 2_000))
        db.execute(balance, ("soylent/units-month", start, 1_688))
        text = "MegaCo has used up its 2,000 AI analyses for this month: 2,000."
        customer = {"id": "megaco", "name": "MegaCo", "plan": "Pro"}
        alert = {"id": "alert_1", "kind": "budget", "raised_at": "", "customer": customer, "text": text}
        alert |= {"threshold_percent": 100, "used": 2_000, "limit": 2_000}
        at = int((NOW - timedelta(hours=3)).timestamp() * 1_000)
        about = ("alert_1", "budget", "megaco", "megaco/units-month", start, 100, json.dumps(alert), at)
        db.execute("INSERT INTO alert_outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", about)
        for channel in ("slack", "webhook"):
            columns = "(alert, channel, state, attempts, next_ms, error)"
            due = f"INSERT INTO delivery {columns} VALUES ('alert_1', ?, 'due', 0, ?, '')"
            db.execute(due, (channel, at))


def history() -> Iterator[tuple[Any, ...]]:
    """Rows of the hourly totals."""
    for id_, _, plan, since, cost in [*CUSTOMERS, ("", "", "", "2026-05-01", 6_120_000_000)]:
        begun = datetime.fromisoformat(since).replace(tzinfo=UTC)
        november = [datetime(2026, 11, day, 9, tzinfo=UTC) for day in range(1, 24)]
        october = [datetime(2026, 10, day, 9, tzinfo=UTC) for day in range(1, 32)]
        earlier = [datetime(2026, month, 15, 9, tzinfo=UTC) for month in range(5, 10)]
        yield from spread(id_, plan, november, cost)
        yield from spread(id_, plan, october if begun <= october[0] else [], cost * 11 // 10)
        for number, day in enumerate(earlier):
            if begun <= day:
                yield from spread(id_, plan, [day], cost * (number + 4) // 9)


def spread(customer: str, plan: str, days: list[datetime], cost: int) -> Iterator[tuple[Any, ...]]:
    """A cost over days, more on working days; the last row takes what rounding leaves."""
    parts = []
    for day in days:
        chance = int.from_bytes(sha256(f"{customer}{day}".encode()).digest()[:2]) % 60 + 70
        weight = (
            chance
            * (45 if day.weekday() >= 5 else 100)
            * (SPIKES.get((customer, day.day), 1) if day.month == 11 else 1)
        )
        parts += [(day, model, weight * model[2]) for model in MODELS]
    whole = sum(weight for _, _, weight in parts)
    left = cost
    for at, (day, (model, provider, _), weight) in enumerate(parts):
        share = left if at == len(parts) - 1 else cost * weight // whole
        left -= share
        if share:
            pick = int.from_bytes(sha256(f"{customer}{day}{model}".encode()).digest()[:1])
            feature = FEATURES[min(pick // 75, 3)]
            unpriced = int(customer in ("", "initech") and at == 5)
            calls = share // 6_000_000 + 1
            refused = 213 if customer == "megaco" and at == len(parts) - 1 and day.month == 11 else 0
            yield (int(day.timestamp()), customer, plan, feature, provider, model, calls + refused, refused,
                   calls // 400, unpriced, calls * 900, calls * 210, share)  # fmt: skip


def binary() -> Path:
    """The service: `TOLLGATE_QUOTA`, else the one that cargo builds."""
    named = os.environ.get("TOLLGATE_QUOTA")
    if named:
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    cargo = os.environ.get("CARGO", "cargo")
    subprocess.run(
        [cargo, "build", "--quiet", "--locked", "--package", "tollgate-quota"], cwd=ROOT, check=True
    )
    return target / "debug/tollgate-quota"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.HTTPError:
        return False


def wait_for(condition: Callable[[], Any]) -> None:
    """Waits until it holds, or fails."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)
