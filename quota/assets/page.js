// Sorts and searches the customers, draws the two charts, and keeps the page current.
// Everything works on what the server rendered: without this file the numbers are all there.
"use strict";

const DOLLAR = 1e9; // Drawing only: every amount that is read as a number was formatted by the server.
const REFRESH_MS = 4000;
const query = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const dark = matchMedia("(prefers-color-scheme: dark)");

const money = (dollars) =>
  dollars.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: dollars < 0.01 ? 4 : 2 });

// --- The customers' table ------------------------------------------------------------------

const order = { column: 0, descending: false };

function compare(a, b) {
  const [x, y] = [a, b].map((row) => row.cells[order.column].dataset.sort);
  // What has no value comes last, whichever way the rest is sorted.
  if ((x === "") !== (y === "")) return x === "" ? 1 : -1;
  const [p, q] = [Number(x), Number(y)];
  const by = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y, "en", { sensitivity: "base" }) : p - q;
  return order.descending ? -by : by;
}

function arrange() {
  const table = query("#customer-table");
  if (!table) return;
  all("thead th", table).forEach((th, at) => {
    if (at === order.column) th.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  });
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare));
  const wanted = query("#search").value.trim().toLowerCase();
  for (const row of body.rows) row.hidden = !row.dataset.find.toLowerCase().includes(wanted);
  query("#nothing-found").hidden = [...body.rows].some((row) => !row.hidden);
}

document.addEventListener("click", (event) => {
  const th = event.target.closest(".sortable thead th");
  if (!th) return;
  const column = th.cellIndex;
  // Names and ranks begin at the top, amounts with the largest.
  order.descending = column === order.column ? !order.descending : column > 2;
  order.column = column;
  arrange();
});
query("#search").addEventListener("input", arrange);

// --- The charts ----------------------------------------------------------------------------

const PALETTE = {
  light: ["#2f5bea", "#0f9f8f", "#e08a00", "#8a4fd8", "#d6457a", "#4a90c2", "#6b8e23", "#a0673a"],
  dark: ["#7f9dff", "#3fc9b8", "#f0b04a", "#b48cf2", "#f07ba6", "#7cc0ea", "#a6c75a", "#cf9a6e"],
};
const charts = {};
let daily = null;

function draw(id, config) {
  const canvas = query("#" + id);
  if (!canvas) return;
  charts[id]?.destroy();
  charts[id] = new Chart(canvas, config);
}

function colour(series, at) {
  if (series.kind !== "name") return css(series.kind === "rest" ? "--rest-bar" : "--none-bar");
  const palette = PALETTE[dark.matches ? "dark" : "light"];
  return palette[at % palette.length];
}

function axes(stacked) {
  const tick = { color: css("--muted"), font: { size: 12 } };
  return {
    x: { stacked, grid: { display: false }, border: { color: css("--line") }, ticks: { ...tick, maxRotation: 0, autoSkipPadding: 16 } },
    y: {
      stacked, beginAtZero: true, border: { display: false }, grid: { color: css("--line") },
      ticks: { ...tick, maxTicksLimit: 6, callback: (value) => money(value).replace(/\.00$/, "") },
    },
  };
}

function look(stacked) {
  return {
    responsive: true, maintainAspectRatio: false, animation: false,
    interaction: { mode: "index", intersect: false }, scales: axes(stacked),
    plugins: {
      legend: {
        position: "bottom",
        labels: { color: css("--text"), usePointStyle: true, pointStyle: "rectRounded", boxWidth: 9, boxHeight: 9, padding: 14, filter: (item) => item.text !== "Spike" },
      },
      tooltip: { usePointStyle: true, itemSort: (a, b) => b.parsed.y - a.parsed.y, filter: (item) => item.parsed.y > 0 },
    },
  };
}

function drawDaily() {
  const totals = daily.days.map((_, at) => daily.series.reduce((sum, series) => sum + series.nanos[at], 0) / DOLLAR);
  const marks = daily.days.map((_, at) => (daily.spikes.some((spike) => spike.at === at) ? totals[at] : null));
  const room = Math.max(...totals) * 0.04;
  const bars = daily.series.map((series, at) => ({
    type: "bar", label: series.name, data: series.nanos.map((nanos) => nanos / DOLLAR),
    backgroundColor: colour(series, at), borderRadius: 2, categoryPercentage: 0.85, barPercentage: 0.95, order: 1,
  }));
  const spikes = {
    type: "line", label: "Spike", data: marks.map((mark) => mark && mark + room), stack: "spikes", showLine: false, order: 0,
    pointStyle: "triangle", pointRadius: 5, pointHoverRadius: 6, backgroundColor: css("--bad"), borderColor: css("--bad"),
  };
  const options = look(true);
  options.plugins.tooltip.callbacks = {
    label: (item) =>
      item.dataset.label === "Spike"
        ? daily.spikes.filter((spike) => spike.at === item.dataIndex).map((spike) => ` ${spike.name}: ${spike.times} of its usual cost`)
        : ` ${item.dataset.label}: ${money(item.parsed.y)}`,
    footer: (items) => (items.length ? `All: ${money(totals[items[0].dataIndex])}` : ""),
  };
  draw("daily", { data: { labels: daily.days, datasets: [...bars, spikes] }, options });
  tabulate();
}

function tabulate() {
  const table = document.createElement("table");
  const line = (parent, cells) => {
    const row = parent.insertRow();
    cells.forEach((text, at) => {
      const cell = document.createElement(at === 0 || parent.tagName === "THEAD" ? "th" : "td");
      cell.textContent = text;
      if (at > 0) cell.className = "num";
      row.append(cell);
    });
  };
  line(table.createTHead(), ["Day", ...daily.series.map((series) => series.name)]);
  const body = table.createTBody();
  daily.days.forEach((day, at) => line(body, [day, ...daily.series.map((series) => money(series.nanos[at] / DOLLAR))]));
  query("#daily-table")?.replaceChildren(table);
}

function drawBlended(months) {
  const bars = (label, key, fill) => ({
    type: "bar", label, data: months.map((month) => month[key] / DOLLAR), backgroundColor: fill, borderRadius: 3, maxBarThickness: 34,
  });
  const options = look(false);
  options.plugins.tooltip.callbacks = { label: (item) => ` ${item.dataset.label}: ${money(item.parsed.y)}` };
  const labels = months.map((month) => month.name);
  const datasets = [bars("Revenue per customer", "revenue", css("--good")), bars("Cost per customer", "cost", css("--accent"))];
  draw("blended", { data: { labels, datasets }, options });
}

// --- Keeping current -----------------------------------------------------------------------

const chosen = { split: "customer", customer: "" };

async function fetchDaily() {
  const asked = new URLSearchParams(chosen).toString();
  const answer = await fetch("/page/daily?" + asked);
  if (!answer.ok || asked !== new URLSearchParams(chosen).toString()) return;
  const fresh = await answer.json();
  if (JSON.stringify(fresh) === JSON.stringify(daily)) return;
  daily = fresh;
  drawDaily();
}

all("[data-split]").forEach((button) =>
  button.addEventListener("click", () => {
    chosen.split = button.dataset.split;
    all("[data-split]").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    fetchDaily();
  }),
);
query("#daily-customer").addEventListener("change", (event) => {
  chosen.customer = event.target.value;
  fetchDaily();
});

let blended = "";
function takeData(text) {
  const data = JSON.parse(text);
  if (chosen.customer === "" && chosen.split === "customer" && JSON.stringify(data.daily) !== JSON.stringify(daily)) {
    daily = data.daily;
    drawDaily();
  }
  if (JSON.stringify(data.months) !== blended) {
    blended = JSON.stringify(data.months);
    drawBlended(data.months);
  }
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/", { headers: { accept: "text/html" } }).catch(() => null);
  if (!answer) return;
  if (answer.redirected || answer.status === 401) return location.reload();
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of all("[data-live]")) {
    const other = query(`[data-live="${part.dataset.live}"]`, fresh);
    if (other && other.innerHTML !== part.dataset.seen) {
      part.dataset.seen = other.innerHTML;
      part.innerHTML = other.innerHTML;
    }
  }
  arrange();
  takeData(query("#data", fresh).textContent);
  if (!(chosen.customer === "" && chosen.split === "customer")) fetchDaily();
}

if (window.Chart) {
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  takeData(query("#data").textContent);
  dark.addEventListener("change", () => {
    drawDaily();
    drawBlended(JSON.parse(blended));
  });
}
all("[data-live]").forEach((part) => (part.dataset.seen = part.innerHTML));
arrange();
setInterval(refresh, REFRESH_MS);
