"use strict";
// Asks /metrics each second, keeps the last ten minutes of what it computes, draws it.

const KEEP = 600, OVER_S = 5, EVERY_MS = 1000, LATE_MS = 5000;

// ---- the text of /metrics ----

function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, key, value] of (found[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[key] = value.replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
    const value = found[3] === "+Inf" ? Infinity : Number(found[3]);
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value });
  }
  return samples;
}

const has = (labels, want) => Object.entries(want).every(([key, value]) => labels[key] === value);

/** The sum of the samples of a family that have these labels. */
function sum(samples, name, want = {}) {
  return (samples.get(name) || []).filter(s => has(s.labels, want))
    .reduce((total, s) => total + s.value, 0);
}

/** A span of time: what counters did between two scrapes. */
class Span {
  constructor(before, now) { Object.assign(this, { before, now }); }
  get seconds() { return (this.now.ms - this.before.ms) / 1000; }
  gauge(name, want) { return sum(this.now.samples, name, want); }
  grown(name, want) {
    const grown = this.gauge(name, want) - sum(this.before.samples, name, want);
    return grown >= 0 ? grown : this.gauge(name, want); // it was started anew
  }
  rate(name, want) { return this.grown(name, want) / this.seconds; }
  share(part, whole) { return whole > 0 ? part / whole : null; }
  /** The quantile of a histogram's values of this span, interpolated in its bucket; null: none came. */
  quantile(name, q) {
    const buckets = (this.now.samples.get(name + "_bucket") || []).map(s => ({
      le: s.labels.le === "+Inf" ? Infinity : Number(s.labels.le),
      count: this.grown(name + "_bucket", s.labels),
    })).sort((a, b) => a.le - b.le);
    const count = buckets.length ? buckets[buckets.length - 1].count : 0;
    if (!count) return null;
    let low = 0, below = 0;
    for (const { le, count: upTo } of buckets) {
      if (upTo >= q * count)
        return le === Infinity ? low : low + (le - low) * (q * count - below) / (upTo - below);
      [low, below] = [le, upTo];
    }
    return low;
  }
}

// ---- what is shown ----

const hits = s => s.rate("holdfast_cache_hits_total");
const misses = s => s.rate("holdfast_cache_misses_total");
const errors = s => s.rate("holdfast_http_responses_total", { class: "5xx" });
const latency = name => [["p50", .5], ["p95", .95], ["p99", .99], ["p99.9", .999]]
  .map(([label, q]) => ({ label, of: s => s.quantile(name, q) }));
const classes = (name, key, values) =>
  values.map(value => ({ label: value, of: s => s.rate(name, { [key]: value }) }));

const CHARTS = [
  { title: "Requests per second", unit: count, series: [
    { label: "requests", of: s => s.rate("holdfast_http_requests_total") },
    { label: "hits", of: hits }, { label: "5xx", of: errors }] },
  { title: "Hit ratio", unit: percent, top: 1, series: [
    { label: "of hits and misses", of: s => s.share(hits(s), hits(s) + misses(s)) }] },
  { title: "Misses per second, by class", unit: count, stacked: true, series:
    classes("holdfast_cache_misses_total", "class", ["absent", "expired", "vary", "uncacheable", "bypass"]) },
  { title: "Latency of hits", unit: time, log: true, series: latency("holdfast_hit_seconds") },
  { title: "Latency of misses", unit: time, log: true, series: latency("holdfast_miss_seconds") },
  { title: "Stale responses per second, by reason", unit: count, stacked: true, series:
    classes("holdfast_cache_stale_served_total", "reason",
      ["while_revalidate", "max_stale", "if_error_status", "if_error_no_answer", "latched", "fallback"]) },
  { title: "Origins: fetches per second", unit: count, series: [
    { label: "fetches", of: s => s.rate("holdfast_origin_requests_total") },
    { label: "failed", of: s => s.rate("holdfast_origin_failures_total") },
    { label: "joined another", of: s => s.rate("holdfast_origin_coalesced_total") }] },
  { title: "Origins: time to the first byte", unit: time, log: true,
    series: latency("holdfast_origin_first_byte_seconds") },
];

const FIGURES = [
  ["requests/s", s => count(s.rate("holdfast_http_requests_total"))],
  ["hit ratio", s => percent(s.share(hits(s), hits(s) + misses(s)))],
  ["misses, last 60 s", s => percent(s.gauge("cache_miss_rate"))],
  ["p99 of hits", s => time(s.quantile("holdfast_hit_seconds", .99))],
  ["p99 of misses", s => time(s.quantile("holdfast_miss_seconds", .99))],
  ["5xx/s", s => count(errors(s))],
  ["connections", s => count(s.gauge("holdfast_tcp_connections"))],
  ["stored responses", s => count(s.gauge("holdfast_cache_objects"))],
];

/** [class, text] */
function pills(s) {
  const fallback = s.gauge("edge_fallback_triggered"), fallen = s.gauge("holdfast_origin_groups_fallen");
  const build = (s.now.samples.get("holdfast_build_info") || [])[0];
  return [
    fallback ? ["warn", "local cache mode"] : ["good", "normal"],
    ...s.gauge("holdfast_state_loaded") ? [] : [["bad", "no state"]],
    ...s.gauge("holdfast_state_expired") ? [["warn", "state expired"]] : [],
    ...s.gauge("holdfast_draining") ? [["warn", "draining"]] : [],
    fallen ? ["bad", "origins failing"] : ["good", "origins well"],
    ["", "up " + duration(s.gauge("holdfast_uptime_seconds"))],
    ...build ? [["", "version " + build.labels.version]] : [],
  ];
}

// ---- units ----

function scaled(value, names, base) {
  let i = 0;
  for (; i < names.length - 1 && Math.abs(value) >= base; i++) value /= base;
  return (value && Math.abs(value) < 10 && (i || value % 1) ? value.toFixed(1) : Math.round(value)) + names[i];
}
function known(text) { return value => value === null || Number.isNaN(value) ? "–" : text(value); }
function count(value) { return known(v => scaled(v, ["", " k", " M", " G"], 1000))(value); }
function bytes(value) { return known(v => scaled(v, [" B", " KiB", " MiB", " GiB", " TiB"], 1024))(value); }
function percent(value) { return known(v => (100 * v).toFixed(100 * v % 1 ? 1 : 0) + " %")(value); }
function time(value) {
  return known(v => v < 1e-3 ? scaled(v * 1e6, [" µs"], 1e9) : v < 1 ? scaled(v * 1e3, [" ms"], 1e9)
    : scaled(v, [" s"], 1e9))(value);
}
function duration(seconds) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([unit]) => seconds >= unit);
  if (at < 0) return "0 s";
  const [unit, name] = parts[at], next = parts[at + 1];
  const rest = next ? Math.floor(seconds % unit / next[0]) : 0;
  return `${Math.floor(seconds / unit)} ${name}` + (rest ? ` ${rest} ${next[1]}` : "");
}

// ---- drawing ----

const $ = id => document.getElementById(id);

function node(name, attributes = {}, ...children) {
  const made = document.createElementNS(name.startsWith("svg:") ? "http://www.w3.org/2000/svg"
    : "http://www.w3.org/1999/xhtml", name.replace("svg:", ""));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const colour = i => `var(--c${i % 6})`;

class Chart {
  constructor(spec) {
    Object.assign(this, spec);
    this.svg = node("svg:svg", { role: "img", "aria-label": this.title });
    this.values = this.series.map(() => node("b"));
    const key = this.series.map((s, i) =>
      node("span", {}, node("i", { style: `background:${colour(i)}` }), s.label, this.values[i]));
    $("charts").append(node("article", {}, node("h2", {}, this.title), this.svg,
      node("p", { class: "key" }, ...key)));
    this.svg.addEventListener("pointermove", event => { this.at = event.offsetX; this.draw(); });
    this.svg.addEventListener("pointerleave", () => { this.at = undefined; this.draw(); });
    this.points = [];
  }

  add(span) {
    this.points.push({ ms: span.now.ms, fallback: span.gauge("edge_fallback_triggered") > 0,
      values: this.series.map(s => s.of(span)) });
    if (this.points.length > KEEP) this.points.shift();
  }

  range() {
    const values = this.points.flatMap(p => this.stacked ? [p.values.reduce((a, b) => a + b, 0)]
      : p.values.filter(v => v !== null && v > (this.log ? 0 : -1)));
    const most = Math.max(...values, this.log ? 1e-6 : 0);
    if (!this.log) return [0, this.top || nice(most)];
    const least = Math.min(...values, most);
    return [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(most * 1.01))];
  }

  draw() {
    const width = this.svg.clientWidth || 400, height = 180, left = 52, bottom = height - 18;
    const [low, high] = this.range(), last = this.points[this.points.length - 1];
    const from = last.ms - Math.max(60000, last.ms - this.points[0].ms);
    const x = ms => left + (width - left) * (ms - from) / (last.ms - from);
    const y = value => this.log
      ? bottom - (bottom - 6) * Math.log(Math.max(value, low) / low) / Math.log(high / low)
      : bottom - (bottom - 6) * (value - low) / (high - low);
    const shown = [...this.bands(x, bottom), ...this.rules(low, high, y, width, left),
      ...this.stacked ? this.areas(x, y) : this.lines(x, y), ...this.times(from, last.ms, left, width, height)];
    const point = this.at === undefined ? last : this.nearest(x);
    if (this.at !== undefined)
      shown.push(node("svg:line", { class: "hair", x1: x(point.ms), x2: x(point.ms), y1: 0, y2: bottom }),
        node("svg:text", { x: x(point.ms), y: 10, "text-anchor": x(point.ms) > width / 2 ? "end" : "start" },
          ` ${clock(point.ms)} `));
    this.svg.replaceChildren(...shown);
    this.values.forEach((b, i) => { b.textContent = this.unit(point.values[i]); });
  }

  nearest(x) {
    return this.points.reduce((best, p) => Math.abs(x(p.ms) - this.at) < Math.abs(x(best.ms) - this.at) ? p : best);
  }

  bands(x, bottom) {
    return this.points.slice(1).map((p, i) => [this.points[i], p]).filter(([, p]) => p.fallback)
      .map(([before, p]) => node("svg:rect",
        { class: "band", x: x(before.ms), width: Math.max(x(p.ms) - x(before.ms), 1), y: 0, height: bottom }));
  }

  rules(low, high, y, width, left) {
    const steps = this.log ? decades(low, high) : [0, .25, .5, .75, 1].map(part => low + part * (high - low));
    return steps.flatMap(value => [
      node("svg:line", { class: "rule", x1: left, x2: width, y1: y(value), y2: y(value) }),
      node("svg:text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, this.unit(value))]);
  }

  times(from, to, left, width, height) {
    return [[from, left, "start"], [(from + to) / 2, (left + width) / 2, "middle"], [to, width, "end"]]
      .map(([ms, x, anchor]) => node("svg:text", { x, y: height - 3, "text-anchor": anchor }, clock(ms)));
  }

  lines(x, y) {
    return this.series.map((_, i) => {
      let path = "", pen = "M";
      for (const p of this.points) {
        if (p.values[i] === null) { pen = "M"; continue; }
        path += `${pen}${x(p.ms).toFixed(1)} ${y(p.values[i]).toFixed(1)}`;
        pen = "L";
      }
      return node("svg:path", { class: "line", d: path || "M0 0", stroke: colour(i) });
    });
  }

  areas(x, y) {
    const base = this.points.map(() => 0);
    return this.series.map((_, i) => {
      const lower = this.points.map((p, k) => `${x(p.ms).toFixed(1)} ${y(base[k]).toFixed(1)}`).reverse();
      this.points.forEach((p, k) => { base[k] += p.values[i]; });
      const upper = this.points.map((p, k) => `${x(p.ms).toFixed(1)} ${y(base[k]).toFixed(1)}`);
      return node("svg:path", { class: "area", d: `M${upper.join("L")}L${lower.join("L")}Z`, fill: colour(i) });
    });
  }
}

function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return unit * [1, 2, 4, 6, 8, 10].find(step => step * unit >= Math.max(value, 4));
}
function decades(low, high) {
  const found = [];
  for (let value = low; value <= high * 1.01; value *= 10) found.push(value);
  return found;
}
function clock(ms) { return new Date(ms).toTimeString().slice(0, 8); }

function bar(label, value, share) {
  return node("label", {}, node("span", {}, label), node("b", {}, value), node("div", { class: "track" },
    node("i", { style: `width:${Math.min(100, 100 * share).toFixed(1)}%` })));
}

function drawWorkers(span) {
  const busy = "holdfast_worker_busy_seconds_total";
  $("workers").replaceChildren(...(span.now.samples.get(busy) || []).map(({ labels }) => {
    const share = span.rate(busy, labels);
    return bar(`worker ${labels.worker}`, `${percent(share)}, ` +
      `${count(span.rate("holdfast_worker_http_requests_total", labels))} requests/s`, share);
  }));
}

function drawMemory(span) {
  const used = span.gauge("holdfast_cache_used_bytes"), all = span.gauge("holdfast_cache_memory_bytes");
  const stored = span.gauge("holdfast_cache_stored_bytes"), resident = span.gauge("holdfast_resident_memory_bytes");
  $("memory").replaceChildren(
    bar("cache, in use", `${bytes(used)} of ${bytes(all)}`, used / all),
    bar("stored responses", bytes(stored), stored / all),
    bar("process, resident", bytes(resident), resident / Math.max(resident, all)),
    bar("evictions per second", count(span.rate("holdfast_cache_evictions_total")), 0));
}

function drawDrops(span) {
  const drops = "holdfast_drops_total";
  const rows = (span.now.samples.get(drops) || [])
    .map(({ labels }) => ({ labels, grown: span.grown(drops, labels), all: span.gauge(drops, labels) }))
    .filter(row => row.grown > 0).sort((a, b) => b.grown - a.grown).slice(0, 8)
    .map(({ labels, grown, all }) => node("tr", {}, node("td", {}, labels.reason.replaceAll("_", " ")),
      node("td", {}, count(grown)), node("td", { class: "soft" }, `${count(all)} in all`)));
  $("drops").replaceChildren(...rows.length ? rows : [node("tr", {}, node("td", { class: "soft" }, "nothing"))]);
}

// ---- each second ----

const charts = CHARTS.map(spec => new Chart(spec));
const scrapes = []; // of the last minute
let heard = Date.now();

function show() {
  const now = scrapes[scrapes.length - 1];
  const since = seconds => new Span(scrapes.find(s => now.ms - s.ms <= seconds * 1000 + 500), now);
  const span = since(OVER_S);
  if (!(span.seconds > 0)) return;
  for (const chart of charts) { chart.add(span); chart.draw(); }
  $("pills").replaceChildren(...pills(span).map(([kind, text]) => node("li", { class: kind }, text)));
  $("figures").replaceChildren(...FIGURES.map(([label, of]) =>
    node("div", {}, node("b", {}, of(span)), node("span", {}, label))));
  drawWorkers(span);
  drawMemory(span);
  drawDrops(since(60));
}

async function ask() {
  const answer = await fetch("/metrics", { cache: "no-store", signal: AbortSignal.timeout(LATE_MS) });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  const samples = parse(await answer.text());
  heard = Date.now();
  scrapes.push({ ms: heard, samples });
  while (heard - scrapes[0].ms > 61000) scrapes.shift();
}

async function turn() {
  try {
    await ask();
    $("silence").hidden = true;
    show();
  } catch (error) {
    $("silence").textContent = `No answer since ${clock(heard)} (${error.message}). What is below is from then.`;
    $("silence").hidden = false;
  }
  setTimeout(turn, EVERY_MS);
}

turn();
