(() => {
"use strict";

const byId = (id) => document.getElementById(id);
const { colour } = theme;
const runs = [...document.querySelectorAll("details.run")];

document.documentElement.classList.add("js");
for (const one of document.querySelectorAll(".tools, .filter, .copy")) one.hidden = false;

// ---- a run's data ---------------------------------------------------------------------------------------------------

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const picture = await new Response(stream).json();
  for (const curve of picture.curves) {
    curve[2] = summed(curve[2]).map((ms) => ms / 1000);
    curve[3] = summed(curve[3]);
  }
  return picture;
}

function summed(steps) {
  let sum = 0;
  return steps.map((step) => (sum += step));
}

// ---- panels ---------------------------------------------------------------------------------------------------------

const PANELS = [
  { title: "queued bytes", curves: ["outq"], is_bytes: true },
  { title: "acknowledged bytes", curves: ["bytes_acked"], is_bytes: true },
  { title: "peer window", curves: ["snd_wnd"], is_bytes: true },
  { title: "retransmits and probes", curves: ["total_retrans", "probes"], steps: true },
  { title: "memory", curves: ["rss"], is_bytes: true, of_processes: true },
  { title: "threads and open files", curves: ["threads", "files"], steps: true, of_processes: true },
];
const COUNT = { name: "count", size: 1 };
// The units of an axis, each with the least value from which it is used.
const BYTES = [{ name: "MB", size: 1e6, least: 1e7 }, { name: "kB", size: 1e3, least: 1e3 }, { name: "B", size: 1, least: 0 }];
const NAMES = { outq: "queued", bytes_acked: "acknowledged", snd_wnd: "window", total_retrans: "retransmits", probes: "probes",
  rss: "resident", threads: "threads", files: "open files" };
const AXIS = 54, HEIGHT = 84, FOOT = 30, RIGHT = 12;

const seconds = (t) => `${Number(t.toFixed(1))}s`, exactly = (t) => `${t.toFixed(2)}s`;

function series_of(panel, picture) {
  const found = picture.curves.filter((curve) => panel.curves.includes(curve[0]));
  const both = found.some((curve) => curve[1]), unit = unit_of(panel, found);
  return found.map(([name, front, times, values]) => ({
    label: NAMES[name] + (both ? (front ? " by the proxy" : " by the server") : ""),
    table: [times, values.map((value) => value / unit.size)],
    values,
    unit,
    front,
    colour: ["probes", "files"].includes(name) ? (front ? "four" : "two") : front ? "three" : "one",
  }));
}

// To a thousandth of its unit, and a small number never as none of a larger unit.
function bytes(value) {
  const { name, size } = BYTES.find((unit) => value >= unit.least);
  return `${(value / size).toLocaleString("en", { maximumFractionDigits: name === "MB" ? 3 : 0 })} ${name}`;
}

function unit_of(panel, curves) {
  const most = curves.reduce((highest, [, , , values]) => values.reduce((a, b) => Math.max(a, b), highest), 0);
  return panel.is_bytes ? BYTES.find((unit) => most >= unit.least) : COUNT;
}

// What a curve was at a moment: its last point at or before it, for what is left out stood still. Past its end it is nothing.
function value_at({ table: [times], values }, t) {
  if (t > times.at(-1)) return null;
  let low = 0, high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= t) low = middle + 1; else high = middle;
  }
  return low ? values[low - 1] : null;
}

function options(panel, series, width, is_last, sync, hooks) {
  const stroke = (one) => () => colour(one.colour);
  const axis = { stroke: () => colour("dim"), font: "11px system-ui, sans-serif", grid: { stroke: () => colour("lattice"), width: 1 },
    ticks: { stroke: () => colour("rule"), width: 1, size: 4 } };
  return {
    width, height: HEIGHT + (is_last ? FOOT : 6), padding: [4, RIGHT, is_last ? 0 : 6, 0], hooks,
    scales: {
      x: { time: false, range: (_chart, low, high) => [low, high] },
      y: { range: (_chart, _low, high) => [0, high > 0 ? high * 1.1 : 1.1] },
    },
    axes: [
      { ...axis, size: is_last ? FOOT : 0, values: is_last ? (_chart, ticks) => ticks.map((t) => `${Number(t.toFixed(3))}s`) : () => [],
        ticks: { ...axis.ticks, show: is_last }, space: 60 },
      { ...axis, size: AXIS, space: 26, incrs: panel.steps ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] : undefined,
        values: (_chart, ticks) => ticks.map((value) => value.toLocaleString("en")) },
    ],
    cursor: { drag: { x: true, y: false }, sync: { key: sync, scales: ["x", null], setSeries: false }, y: false,
      points: { show: false } },
    legend: { live: false, mount: (_chart, legend) => hooks.head.append(legend),
      markers: { width: 2, dash: (_chart, place) => (series[place - 1]?.front ? "dashed" : "solid") } },
    series: [
      {},
      ...series.map((one) => ({ label: one.label, stroke: stroke(one), width: 1.4, dash: one.front ? [5, 3] : undefined, spanGaps: true,
        points: { show: false }, paths: panel.steps ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear() })),
    ],
  };
}

// ---- what is marked -------------------------------------------------------------------------------------------------

const CLASSES = { fault: "fault-at", "onset + grace": "grace", "fault + grace": "grace" };

function element(tag, classes, text = "") {
  const made = document.createElement(tag);
  made.className = classes;
  made.textContent = text;
  return made;
}

function tags(picture) {
  const of_marks = picture.marks.map(([kind, at]) => {
    const name = kind === "fault" ? picture.bands.find((band) => Math.abs(band[1] - at) < 0.01)?.[0] : null;
    return { at, classes: CLASSES[kind] || kind, text: `${kind}${name ? ` ${name}` : ""} ${seconds(at)}` };
  });
  const marked = (t) => picture.marks.some(([, at]) => Math.abs(at - t) < 0.01);
  const of_bands = picture.bands.filter((band) => !marked(band[1]))
    .map(([name, at]) => ({ at, classes: "band", text: `${name} ${seconds(at)}` }));
  const over = picture.bands.filter(([, , until]) => until < picture.until * 0.995 && !marked(until))
    .map(([name, , until]) => ({ at: until, classes: "band", text: `${name} undone ${seconds(until)}` }));
  return [...of_marks, ...of_bands, ...over].sort((a, b) => a.at - b.at);
}

function lay_lines(chart, picture) {
  let layer = chart.over.querySelector(".marks");
  if (!layer) { layer = element("div", "marks"); chart.over.prepend(layer); }
  const { min, max } = chart.scales.x;
  const parts = picture.bands.filter(([, begun, until]) => until > min && begun < max).map(([name, begun, until]) => {
    const band = element("div", "mark-band");
    const left = chart.valToPos(Math.max(begun, min), "x");
    band.dataset.name = name;
    band.style.left = `${left}px`;
    band.style.width = `${Math.max(1, chart.valToPos(Math.min(until, max), "x") - left)}px`;
    return band;
  });
  for (const [kind, at] of picture.marks) {
    if (at < min || at > max) continue;
    const line = element("div", `mark-line ${CLASSES[kind] || kind}`);
    line.dataset.kind = kind;
    line.style.left = `${chart.valToPos(at, "x") - 0.75}px`;
    parts.push(line);
  }
  layer.replaceChildren(...parts);
}

// The tracks of all clients show the same part of the run, with the same edges, as the charts.
function lay_tracks(run, chart) {
  const { min, max } = chart.scales.x;
  for (const image of run.querySelectorAll(".track svg")) {
    image.setAttribute("viewBox", `${min} 0 ${max - min} 100`);
    image.style.marginLeft = `${chart.over.offsetLeft - image.parentElement.offsetLeft + image.closest(".tracks").offsetLeft}px`;
    image.style.width = `${chart.over.clientWidth}px`;
  }
}

// Each tag in the first row in which it overlaps no other, right of its line or, where there is no room, left of it.
function lay_tags(lane, chart, picture) {
  const { min, max } = chart.scales.x;
  const left = chart.over.offsetLeft, width = chart.over.clientWidth, rows = [];
  lane.replaceChildren();
  for (const { at, classes, text } of tags(picture)) {
    if (at < min || at > max) continue;
    const x = chart.valToPos(at, "x"), stem = element("div", `stem ${classes}`), tag = element("span", `tag ${classes}`, text);
    lane.append(stem, tag);
    const room = tag.offsetWidth;
    const from = x + 2 + room <= width + RIGHT ? x + 2 : Math.max(-left, x - 2 - room);
    let row = rows.findIndex((taken) => taken.every(([a, b]) => from > b + 4 || from + room < a - 4));
    if (row < 0) row = rows.push([]) - 1;
    rows[row].push([from, from + room]);
    tag.style.left = `${left + from}px`;
    stem.style.left = `${left + x - 0.75}px`;
    tag.style.top = `${row * 15}px`;
    stem.style.top = `${row * 15 + 2}px`;
  }
  lane.style.height = `${Math.max(1, rows.length) * 15 + 2}px`;
}

// ---- the cursor -----------------------------------------------------------------------------------------------------

// All panels of a run are read at one moment, in seconds: null while there is no cursor.
function read_at(one, t) {
  one.at = t;
  for (const panel of one.panels) {
    lay_cursor(panel.chart, t);
    panel.at.textContent = t == null ? "" : `at ${exactly(t)}`;
    panel.series.forEach((series, nth) => { panel.values[nth].textContent = t == null ? "" : worded(value_at(series, t), series.unit); });
  }
}

const worded = (value, unit) => (value == null ? "–" : unit === COUNT ? value.toLocaleString("en") : bytes(value));

// The line stays at its moment when the scale or the size changes; out of sight it is nowhere.
function lay_cursor(chart, t) {
  const { min, max } = chart.scales.x, there = t != null && t >= min && t <= max;
  chart.setCursor({ left: there ? chart.valToPos(t, "x") : -10, top: there ? 10 : -10 }, false, false);
}

// Where each value of a panel is written: behind its name in the legend.
function places_to_read(head) {
  const at = element("span", "at");
  head.querySelector("b").after(at);
  const values = [...head.querySelectorAll(".u-series")].map((row) => row.appendChild(element("td", "value")));
  return { at, values };
}

function follow_mouse(one, chart) {
  chart.over.addEventListener("mousemove", ({ clientX }) => {
    const { left, width } = chart.over.getBoundingClientRect();
    read_at(one, chart.posToVal(Math.min(width, Math.max(0, clientX - left)), "x"));
  });
  chart.over.addEventListener("mouseleave", () => read_at(one, null));
}

// ---- a run's plots --------------------------------------------------------------------------------------------------

const drawn = new Map();  // a run's element: its charts and what is drawn in them

async function draw(run) {
  const place = run.querySelector(".plots");
  if (!place || drawn.has(run)) return;
  drawn.set(run, null);
  const picture = await unpacked(run.querySelector(".data").textContent);
  const zoom = element("div", "zoom"), lane = element("div", "lane");
  place.append(zoom, lane);
  const sync = `run ${run.id}`, charts = [], panels = [];
  const whole = () => charts[0].setScale("x", { min: 0, max: picture.until });
  const one = { charts, panels, picture, lane, whole, at: null };
  const shown = PANELS.filter((panel) => series_of(panel, picture).length);
  if (!shown.length) { place.replaceChildren(element("p", "missing", "The server's socket was never seen, so there are no curves.")); place.dataset.drawn = "true"; return; }
  const follow = (moved) => {
    const { min, max } = moved.scales.x;
    for (const chart of charts)
      if (chart !== moved && (chart.scales.x.min !== min || chart.scales.x.max !== max)) chart.setScale("x", { min, max });
    if (moved === charts[0]) { lay_tags(lane, moved, picture); lay_tracks(run, moved); }
    lay_lines(moved, picture);
    lay_cursor(moved, one.at);
  };
  const fold = fold_of_processes(place, picture);
  shown.forEach((panel, nth) => {
    const is_last = shown[nth + 1]?.of_processes !== panel.of_processes;
    const box = element("div", "panel"), head = element("div", "panel-head"), series = series_of(panel, picture);
    head.append(element("b", "", `${panel.title}, ${series[0].unit.name}`));
    box.append(head);
    (panel.of_processes ? fold : place).append(box);
    const hooks = { head, setScale: [(chart, key) => { if (key === "x" && charts.length === shown.length) follow(chart); }],
      setSize: [(chart) => { if (charts.length === shown.length) follow(chart); }] };
    const data = uPlot.join(series.map((one) => one.table));
    const chart = new uPlot(options(panel, series, place.clientWidth, is_last, sync, hooks), data, box);
    charts.push(chart);
    panels.push({ chart, series, ...places_to_read(head) });
    follow_mouse(one, chart);
  });
  if (fold.querySelector(".panel")) place.append(fold);
  drawn.set(run, one);
  place.charts = charts;
  for (const chart of charts) chart.over.addEventListener("dblclick", (event) => { event.stopImmediatePropagation(); whole(); }, true);
  zoom_buttons(zoom, run);
  for (const chart of charts) chart.setScale("x", { min: 0, max: picture.until });
  // The first scales are set before the next frame, in which everything has its place.
  requestAnimationFrame(() => { for (const chart of charts) follow(chart); place.dataset.drawn = "true"; });
}

// The curves of the server's processes are folded, unless the session cost the server much.
function fold_of_processes(place, picture) {
  const fold = element("details", "processes"), summary = element("summary", "");
  summary.append(element("b", "", "server's processes"), `: ${picture.processes}`);
  fold.append(summary);
  fold.open = "costly" in place.dataset;
  return fold;
}

function zoom_buttons(place, run) {
  const { picture, whole } = drawn.get(run);
  const add = (text, title, act) => {
    const button = element("button", "", text);
    button.type = "button";
    button.title = title;
    button.addEventListener("click", act);
    place.append(button);
  };
  add("all", "show the whole run (0)", whole);
  add("+", "zoom in (+)", () => zoom(run, 0.5));
  add("−", "zoom out (−)", () => zoom(run, 2));
  for (const [kind, at] of picture.marks)
    if (["fault", "reaped", "closed"].includes(kind)) add(kind, "zoom to this moment", () => look_at(run, at, Math.min(4, picture.until)));
  place.append(element("span", "", "seconds since the session opened; drag to zoom, double-click to show everything"));
}

function look_at(run, middle, breadth) {
  const { charts, picture } = drawn.get(run);
  const width = Math.min(Math.max(breadth, 0.02), picture.until);
  const min = Math.min(Math.max(0, middle - width / 2), picture.until - width);
  charts[0].setScale("x", { min, max: min + width });
}

function zoom(run, factor) {
  const { charts, at } = drawn.get(run), { min, max } = charts[0].scales.x;
  const middle = at != null && at >= min && at <= max ? at : (min + max) / 2;
  look_at(run, middle, (max - min) * factor);
}

function move_cursor(run, by) {
  const one = drawn.get(run), { min, max } = one.charts[0].scales.x;
  const from = one.at ?? (min + max) / 2, pixel = (max - min) / one.charts[0].over.clientWidth;
  read_at(one, Math.min(max, Math.max(min, from + by * pixel)));
}

function redraw_all() {
  for (const one of drawn.values()) if (one) for (const chart of one.charts) chart.redraw(false, true);
}

// A run is drawn when it is open and comes near the window; hundreds may be open.
const near = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting) draw(target.closest("details"));
}, { rootMargin: "300px" });
const sized = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) {
    const one = drawn.get(target.closest("details"));
    if (one && contentRect.width > 0)
      for (const chart of one.charts) if (chart.width !== contentRect.width) chart.setSize({ width: contentRect.width, height: chart.height });
  }
});
for (const place of document.querySelectorAll(".plots")) { near.observe(place); sized.observe(place); }

// ---- going from run to run ------------------------------------------------------------------------------------------

function open_linked() {
  const run = byId(decodeURIComponent(location.hash.slice(1)));
  if (!run || !run.matches("details.run")) return;
  if (run.hidden) { wanted.clear(); byId(":filter").value = ""; apply_filter(); }
  run.open = true;
  run.scrollIntoView({ block: "start" });
  run.querySelector("summary").focus({ preventScroll: true });
}

function step(by) {
  const there = runs.filter((run) => !run.hidden);
  const now = there.indexOf(document.activeElement?.closest?.("details.run") ?? null);
  const next = there[now < 0 ? (by > 0 ? 0 : there.length - 1) : Math.min(there.length - 1, Math.max(0, now + by))];
  next?.querySelector("summary").focus();
  next?.scrollIntoView({ block: next.open ? "start" : "nearest" });
}

addEventListener("hashchange", open_linked);
addEventListener("load", open_linked);  // not before: a browser that goes to a fragment takes the focus away
document.addEventListener("click", (event) => {
  // A link to where one is changes nothing, and is followed all the same.
  const link = event.target.closest("a[href^='#']");
  if (link && link.getAttribute("href") === location.hash) setTimeout(open_linked);
});

// ---- filter ---------------------------------------------------------------------------------------------------------

const wanted = new Set();

function apply_filter() {
  const words = byId(":filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (run) => (!wanted.size || wanted.has(run.dataset.standing)) && words.every((word) => run.dataset.text.includes(word));
  const left = new Set();
  for (const run of runs) {
    run.hidden = !fits(run);
    if (!run.hidden) left.add(run.id);
  }
  for (const row of document.querySelectorAll("tr[data-run]")) row.hidden = !left.has(row.dataset.run);
  for (const cell of document.querySelectorAll(".grid a")) cell.classList.toggle("faded", !left.has(cell.getAttribute("href").slice(1)));
  for (const count of document.querySelectorAll(".count")) count.setAttribute("aria-pressed", wanted.has(count.dataset.standing));
  byId(":shown").textContent = left.size < runs.length ? `${left.size} of ${runs.length} runs` : "";
}

for (const count of document.querySelectorAll(".count"))
  count.addEventListener("click", () => {
    const which = count.dataset.standing;
    if (!wanted.delete(which)) wanted.add(which);
    apply_filter();
  });
byId(":filter").addEventListener("input", apply_filter);

// ---- commands -------------------------------------------------------------------------------------------------------

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {  // a page that was not fetched by TLS may not write to the clipboard in this way
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "copied";
  setTimeout(() => { button.textContent = "copy"; }, 2000);
}

for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", () => copy(button));

// ---- keys -----------------------------------------------------------------------------------------------------------

function on_plot(run, key) {
  if (!drawn.get(run)) return false;
  const acts = {
    ArrowLeft: () => move_cursor(run, -4), ArrowRight: () => move_cursor(run, 4),
    "+": () => zoom(run, 0.5), "=": () => zoom(run, 0.5), "-": () => zoom(run, 2), "0": () => drawn.get(run).whole(),
  };
  acts[key]?.();
  return key in acts;
}

const KEYS = {
  j: () => step(1), n: () => step(1), k: () => step(-1), p: () => step(-1), t: theme.next,
  "/": () => byId(":filter").focus(), "?": () => byId(":keys").showModal(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId(":keys").open) return;
  const at = event.target;
  if (at.matches?.("input")) {
    if (event.key === "Escape") { at.value = ""; apply_filter(); at.blur(); }
    return;
  }
  const plots = at.closest?.(".plots");
  if (plots && on_plot(plots.closest("details"), event.key)) return event.preventDefault();
  if (Object.hasOwn(KEYS, event.key)) { KEYS[event.key](); event.preventDefault(); }
});
byId(":help").addEventListener("click", KEYS["?"]);

theme.begin(redraw_all);
})();
