(() => {
"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId(":data").textContent);
const charts = [];

document.documentElement.classList.add("js");
for (const one of document.querySelectorAll(".tools")) one.hidden = false;

const { colour } = theme;
// In an order in which neighbours are easy to tell apart.
const COLOURS = ["one", "two", "four", "six", "five", "three"];

// ---- what all charts have in common ---------------------------------------------------------------------------------

const seconds = (t) => (t == null ? "" : `${Number(t.toFixed(1))}s`);
const percent = (share) => (share == null ? "" : `${Number((share * 100).toPrecision(2))} %`);
const FONT = "11px system-ui, sans-serif", AXIS = 58, FOOT = 30;
// So many entries of a legend are read; where there are more, a chart's own labels say who is who.
const MANY = 10;

function axis(more) {
  return { stroke: () => colour("dim"), font: FONT, labelFont: FONT, labelSize: 16, grid: { stroke: () => colour("lattice"), width: 1 },
    ticks: { stroke: () => colour("rule"), width: 1, size: 4 }, ...more };
}

// All that there is begins at 0 and has some room at its end; what was zoomed to is as it was dragged.
const from_zero = (room) => (chart, low, high) => {
  const its = chart.data[0];
  return low === its[0] && high === its.at(-1) ? [0, high * room] : [low, high];
};

// The nearest point of this series, for the legend to tell of it: the others may have none at that moment.
function nearest(chart, series, near) {
  const values = chart.data[series];
  for (let far = 0; far < values.length; far++)
    for (const place of [near - far, near + far]) if (values[place] != null) return place;
  return near;
}

function make(place, options, columns) {
  const chart = new uPlot({ width: place.clientWidth, height: 260, cursor: { drag: { x: true, y: false }, dataIdx: nearest, points: { size: 6 } },
    ...options }, columns, place);
  charts.push(chart);
  place.chart = chart;
  sized.observe(place);
  if (!place.nextElementSibling?.matches(".save")) place.after(save_button(place));
}

const sized = new ResizeObserver((changes) => {
  for (const { target, contentRect } of changes) {
    const chart = target.chart;
    if (chart && contentRect.width > 0 && chart.width !== contentRect.width) chart.setSize({ width: contentRect.width, height: chart.height });
  }
});

function save_button(place) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "save";
  button.textContent = "save as PNG";
  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const [title] = place.getAttribute("aria-label").split(";");
  button.setAttribute("aria-label", `save as PNG: ${title}`);
  button.addEventListener("click", () => picture(place.chart, title + (place.dataset.trip || "")).toBlob((png) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(png);
    link.download = `grace-${slug(data.mix)}-${place.id.slice(1)}${slug(place.dataset.trip || "")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }));
  return button;
}

// A copy of the chart with its title and its legend, which are not on the chart's own canvas.
function picture(chart, title) {
  const from = chart.ctx.canvas, scale = devicePixelRatio, edge = 8 * scale, line = 18 * scale;
  const canvas = document.createElement("canvas"), ctx = canvas.getContext("2d");
  const shown = chart.series.slice(1).filter((series) => series.show).map(({ label, stroke }) => ({ label, colour: stroke(chart) }));
  const one_colour = shown.length > 1 && new Set(shown.map((series) => series.colour)).size === 1;  // labels in place say more
  const font = FONT.replace("11", String(11 * scale));
  ctx.font = font;
  const entries = [];
  let x = edge, row = 1;
  for (const series of one_colour ? [] : shown) {
    const width = ctx.measureText(series.label).width + 24 * scale;
    if (x > edge && x + width > from.width) { x = edge; row += 1; }
    entries.push({ ...series, x, row });
    x += width;
  }
  const head = edge + (entries.length ? row + 1 : 1) * line;
  canvas.width = from.width + edge;
  canvas.height = from.height + head;
  ctx.fillStyle = colour("ground");
  ctx.fillRect(0, 0, canvas.width, canvas.height);
  ctx.fillStyle = colour("ink");
  ctx.font = `600 ${font}`;
  ctx.fillText(title, edge, edge + 0.6 * line);
  ctx.font = font;
  for (const entry of entries) {
    const y = edge + (entry.row + 0.6) * line;
    ctx.fillStyle = entry.colour;
    ctx.fillRect(entry.x, y - 8 * scale, 8 * scale, 8 * scale);
    ctx.fillStyle = colour("ink");
    ctx.fillText(entry.label, entry.x + 12 * scale, y);
  }
  ctx.drawImage(from, 0, head);
  return canvas;
}

function on_canvas(chart, draw) {
  const { ctx } = chart, { left, top, width, height } = chart.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = "alphabetic";
  draw(ctx);
  ctx.restore();
}

function across(chart, ctx, y, style) {
  const { left, width } = chart.bbox, at = chart.valToPos(y, "y", true);
  ctx.strokeStyle = colour(style);
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(left, at);
  ctx.lineTo(left + width, at);
  ctx.stroke();
}

// Writes labels within the chart, however near to its edge, on a ground that parts them from the curves. A label goes to
// the first of its places where it overlaps no other. If there is none, it is left out: the tables have all numbers.
function writer(chart, ctx) {
  const { left, width } = chart.bbox, room = 4 * devicePixelRatio, height = 12 * devicePixelRatio, taken = [];
  ctx.textAlign = "left";
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.lineJoin = "round";
  return (text, ...places) => {
    const wide = ctx.measureText(text).width;
    for (const [x, y] of places) {
      const from = Math.max(left + room, Math.min(x, left + width - wide - room));
      if (taken.some(([a, b]) => Math.abs(b - y) < height && from < a[1] + room && from + wide > a[0] - room)) continue;
      taken.push([[from, from + wide], y]);
      ctx.strokeStyle = colour("ground");
      ctx.strokeText(text, from, y);
      ctx.fillText(text, from, y);
      break;
    }
    chart.written = taken;
  };
}

const curves = data.curves.map((curve, nth) => ({ ...curve, colour: COLOURS[nth % COLOURS.length] }));
const called = (curve, point) => seconds(point.grace_s) + (curves.length > 1 ? ` ${curve.name}` : "");
const nothing = (place, text) => { const said = document.createElement("p"); said.className = "missing"; said.textContent = text; place.append(said); };

// ---- false reaps against detection ----------------------------------------------------------------------------------

function frontier() {
  const place = byId(":frontier");
  const shown = curves.map((curve) => ({ ...curve, points: curve.points.filter((one) => one.ci95 && one.detection_s.p50 != null)
    .sort((a, b) => a.detection_s.p50 - b.detection_s.p50) })).filter((curve) => curve.points.length);
  if (!shown.length) return nothing(place, "Not enough sessions yet. A point needs dead clients that were reaped, and live clients.");
  const all = shown.flatMap((curve) => curve.points);
  const floor = Math.min(data.most, ...all.flatMap((one) => (one.false_reaps ? [one.ci95[0], one.ci95[1]] : [one.ci95[1]])).filter((share) => share > 0)) / 3;
  const at = (one) => Math.max(one.false_reap_rate, floor);
  const decades = [1];
  while (decades[0] / 10 > floor * 1.5) decades.unshift(decades[0] / 10);
  const columns = uPlot.join(shown.map((curve) => [curve.points.map((one) => one.detection_s.p50), curve.points.map(at)]));
  const soonest = (curve) => curve.points.reduce((sum, one) => sum + one.detection_s.p50, 0) / curve.points.length;
  const order = [...shown].sort((a, b) => soonest(a) - soonest(b)), first = order[0], last = order.at(-1);
  const draw = (chart) => on_canvas(chart, (ctx) => {
    across(chart, ctx, data.most, "dim");
    const labels = [];
    shown.forEach((curve, nth) => {
      if (!chart.series[nth + 1].show) return;
      for (const one of curve.points) {
        const x = chart.valToPos(one.detection_s.p50, "x", true), y = chart.valToPos(at(one), "y", true), size = 4 * devicePixelRatio;
        ctx.strokeStyle = ctx.fillStyle = colour(curve.colour);
        ctx.lineWidth = 2 * devicePixelRatio;
        ctx.beginPath();
        ctx.moveTo(x, chart.valToPos(Math.max(one.ci95[0], floor), "y", true));
        ctx.lineTo(x, chart.valToPos(one.ci95[1], "y", true));
        ctx.stroke();
        const grace = seconds(one.grace_s), right = [x + 1.5 * size, y - 1.5 * size];
        const left = [x - 1.5 * size - ctx.measureText(grace).width, y + 3.5 * size];
        // Of curves between the first and the last there is no room to write.
        if (curve === last) labels.push([grace, curve.colour, right]);
        else if (curve === first) labels.push([grace, curve.colour, left]);
        ctx.beginPath();
        ctx.arc(x, y, size, 0, 2 * Math.PI);
        if (!one.false_reaps) ctx.fillStyle = colour("ground");
        ctx.fill();
        ctx.stroke();
      }
    });
    const write = writer(chart, ctx);
    ctx.fillStyle = colour("dim");
    write(`${percent(data.most)} is allowed`, [Infinity, chart.valToPos(data.most, "y", true) - 4 * devicePixelRatio]);
    for (const [text, ink, ...places] of labels) {
      ctx.fillStyle = colour(ink);
      write(text, ...places);
    }
  });
  make(place, {
    height: 340, hooks: { draw: [draw] },
    scales: { x: { time: false, range: from_zero(1.05) },
      y: { distr: 3, range: () => [floor / 2, Math.max(1, data.most * 2)] } },
    axes: [axis({ size: FOOT, label: "seconds from the onset to the reap, median" }),
      axis({ size: AXIS, splits: () => [floor, ...decades], filter: (_chart, shares) => shares, values: (_chart, ticks) => ticks.map((share) => (share === floor ? "none" : percent(share))) })],
    series: [{ label: "detection", value: (_chart, t) => seconds(t) }, ...shown.map((curve) => ({ label: curve.name, stroke: () => colour(curve.colour),
      width: 1.2, spanGaps: true, points: { show: false }, value: (_chart, share) => (share == null ? "" : share <= floor ? "none seen" : percent(share)) }))],
  }, columns);
}

// ---- outages --------------------------------------------------------------------------------------------------------

const trips = data.stalls.filter((trip) => trip.outage_s.length);
const steps = uPlot.paths.stepped({ align: 1 });

function stalls() {
  const place = byId(":stalls");
  const graces = [...new Set(curves.flatMap((curve) => curve.points.map((one) => one.grace_s)))].sort((a, b) => a - b);
  const top = Math.max(...trips.flatMap((trip) => trip.most_s));
  const rules = (chart) => on_canvas(chart, (ctx) => { for (const grace of graces) if (grace < top) across(chart, ctx, grace, "rule"); });
  const labels = (chart) => on_canvas(chart, (ctx) => {
    const write = writer(chart, ctx);
    ctx.fillStyle = colour("dim");
    for (const grace of graces)
      if (grace < top) write(`grace ${seconds(grace)}`, [Infinity, chart.valToPos(grace, "y", true) - 2 * devicePixelRatio]);
  });
  const columns = uPlot.join(trips.map((trip) => [trip.outage_s, trip.most_s]));
  make(place, {
    height: 240,
    hooks: { drawClear: [rules], draw: [labels] },
    scales: { x: { time: false, range: from_zero(1) }, y: { range: () => [0, top * 1.05] } },
    cursor: { drag: { x: true, y: false }, dataIdx: nearest, sync: { key: "outages", scales: ["x", null], setSeries: false } },
    axes: [axis({ size: FOOT }), axis({ size: AXIS, label: "seconds of stall" })],
    series: [{ label: "outage", value: (_chart, t) => seconds(t) }, ...trips.map((trip, nth) => ({ label: `stall, round trip ${(trip.rtt_s * 1000).toFixed(0)}ms`,
      stroke: () => colour(COLOURS[nth % COLOURS.length]), width: 1.4, spanGaps: true, points: { show: false }, value: (_chart, t) => seconds(t) }))],
  }, columns);
}

// A lane a grace, as full as the share that was killed, the shortest lowest; of several detectors side by side.
function lanes_of(rtt) {
  return curves.flatMap((curve) => curve.points.map((point) => ({ point, colour: curve.colour, its: point.outages.find((one) => one.rtt_s === rtt),
    name: called(curve, point) }))).filter((lane) => lane.its)
    .sort((a, b) => a.point.grace_s - b.point.grace_s);
}

function breadth(lanes) {
  const ctx = document.createElement("canvas").getContext("2d");
  ctx.font = FONT;
  return Math.max(0, ...lanes.map((lane) => ctx.measureText(lane.name).width));
}

function outages(rtt) {
  const place = byId(":outages");
  if (place.chart) { charts.splice(charts.indexOf(place.chart), 1); place.chart.destroy(); }
  const lanes = lanes_of(rtt);
  place.dataset.trip = `, round trip ${(rtt * 1000).toFixed(0)}ms`;
  const tables = lanes.map(({ its }, lane) => [its.outage_s, its.outage_s.map((_, nth) => {
    const known = its.kept[nth] + its.reaped[nth];
    return known ? lane + (0.85 * its.reaped[nth]) / known : null;
  })]);
  make(place, {
    height: 70 + 22 * lanes.length, legend: { show: lanes.length <= MANY },
    scales: { x: { time: false, range: from_zero(1) }, y: { range: () => [0, lanes.length] } },
    cursor: { drag: { x: true, y: false }, dataIdx: nearest, y: false, sync: { key: "outages", scales: ["x", null], setSeries: false } },
    axes: [axis({ size: FOOT, label: "seconds of outage" }), axis({ size: Math.max(AXIS, Math.min(breadth(lanes) + 30, place.clientWidth / 2)), label: "grace", grid: { show: false }, ticks: { show: false },
      splits: () => lanes.map((_, lane) => lane + 0.4), values: () => lanes.map((lane) => lane.name) })],
    series: [{ label: "outage", value: (_chart, t) => seconds(t) }, ...lanes.map((lane, nth) => ({ label: lane.name, stroke: () => colour(lane.colour),
      fill: () => colour(lane.colour), width: 1, paths: steps, points: { show: false }, fillTo: () => nth,
      value: (_chart, level) => (level == null ? "" : `${Math.round(((level - nth) / 0.85) * 100)} % lost`) }))],
  }, uPlot.join(tables));
  for (const button of byId(":trips").children) button.setAttribute("aria-pressed", String(Number(button.dataset.rtt) === rtt));
}

function trip_buttons() {
  for (const { rtt_s } of trips) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.rtt = rtt_s;
    button.textContent = `round trip ${(rtt_s * 1000).toFixed(0)}ms`;
    button.addEventListener("click", () => outages(rtt_s));
    byId(":trips").append(button);
  }
}

// ---- latency --------------------------------------------------------------------------------------------------------

function latency() {
  const place = byId(":latency");
  const shown = curves.flatMap((curve) => curve.points.filter((one) => one.detections_s.length).map((one) => ({ ...curve, one })));
  if (!shown.length) return nothing(place, "No dead client has been reaped yet.");
  const tables = shown.map(({ one }) => {
    const its = one.detections_s, last = new Map(its.map((t, nth) => [t, (nth + 1) / its.length]));
    return [[its[0] - 1e-4, ...last.keys()], [0, ...last.values()]];
  });
  const draw = (chart) => on_canvas(chart, (ctx) => {
    const write = writer(chart, ctx);
    ctx.fillStyle = colour("dim");
    shown.forEach(({ one, ...curve }, nth) => {
      if (!chart.series[nth + 1].show || curve.name !== shown[0].name) return;
      const text = seconds(one.grace_s), x = chart.valToPos(one.detections_s.at(-1), "x", true) - ctx.measureText(text).width / 2;
      write(text, [x, chart.valToPos(1, "y", true) - 5 * devicePixelRatio]);
    });
  });
  make(place, {
    hooks: { draw: [draw] }, legend: { show: shown.length <= MANY },
    scales: { x: { time: false, range: from_zero(1.02) }, y: { range: () => [0, 1.12] } },
    axes: [axis({ size: FOOT, label: "seconds from the onset to the reap" }),
      axis({ size: AXIS, splits: () => [0, 0.25, 0.5, 0.75, 1], values: (_chart, ticks) => ticks.map(percent) })],
    series: [{ label: "within", value: (_chart, t) => (t == null ? "" : `${t.toFixed(2)}s`) }, ...shown.map(({ one, ...curve }) => ({
      label: `grace ${called(curve, one)}`, stroke: () => colour(curve.colour), width: 1.4,
      paths: steps, spanGaps: true, points: { show: false }, value: (_chart, share) => percent(share) }))],
  }, uPlot.join(tables));
}

frontier();
if (trips.length) { trip_buttons(); stalls(); outages(trips[0].rtt_s); }
latency();
theme.begin(() => { for (const chart of charts) chart.redraw(false, true); });
for (const place of document.querySelectorAll(".chart")) place.dataset.drawn = "true";
})();
