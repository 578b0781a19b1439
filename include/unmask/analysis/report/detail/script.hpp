// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// The second part of the script of the page that write_sink_html writes: what is chosen, what is told, and the tables.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr const char* sink_page_script = R"html(
const element = (tag, name = "", text = "") => {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
};
const figure = (caption, layered = false) => {
  const made = element("figure");
  const told = element("figcaption");
  told.innerHTML = caption;
  const box = element("div");
  box.style.position = "relative";
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", told.textContent);
  box.append(canvas);
  if (layered) {
    const marks = element("canvas");
    marks.style.cssText = "position:absolute;inset:0;pointer-events:none";
    box.append(marks);
    made.marks = marks;
  }
  made.append(told, box);
  made.canvas = canvas;
  made.told = told;
  return made;
};

// What is chosen, for all runs, and the key that is looked at.
const largest = name => Math.max(...data.runs.map(run => run[name]));
const sequences = [...new Set(data.runs.flatMap(run => run.sequences.map(one => one.sequence)))].sort((a, b) => a - b);
const chosen = { layer: 0, head: 0, sequence: sequences[0], step: 0, run: null, key: null };
{
  const { strength, heads } = data.runs[0];
  const single = strength.map((one, i) => i % (heads + 1) < heads ? one : -1);
  const best = single.indexOf(Math.max(...single));
  chosen.layer = Math.floor(best / (heads + 1));
  chosen.head = best % (heads + 1);
}

const parts = data.runs.map(run => {
  const section = element("section");
  const part = { run, overview: figure("<b>All layers and heads</b>: the strongest key, mean over steps. Choose one."),
    missing: element("p", "quiet"), shown: element("div"),
    heat: figure("<b>Attention received</b>: steps down, positions across", true),
    paths: figure(""), scatter: figure("<b>Norm of the value</b> over the median, against attention received"),
    words: element("p", "text"), about: element("figcaption") };
  part.about.innerHTML = "<b>The text at this step</b>, each token shaded by what it receives";
  const text = element("figure");
  text.append(part.about, part.words);
  part.text = text;
  part.shown.append(part.heat, part.paths, part.scatter, text);
  section.append(element("h2", "", run.name), part.overview, part.missing, part.shown);
  at("runs").append(section);
  const look = event => {
    const box = part.heat.canvas.getBoundingClientRect();
    if (!part.one || event.buttons === 0 && event.type === "pointerdown") { return; }
    const place = part.heat.canvas.place;
    const step = Math.floor((event.clientY - box.top - place.top) / place.cell);
    const key = keyAt(run, part.one, place, event.clientX - box.left);
    if (step < 0 || step >= part.one.steps || key < 0 || key >= part.one.keys) { return; }
    const stepped = event.type !== "pointermove" || event.buttons > 0 || event.pointerType === "mouse";
    Object.assign(chosen, { run, key, step: stepped ? step : chosen.step });
    go(chosen.step);
  };
  part.heat.canvas.addEventListener("pointermove", look);
  part.heat.canvas.addEventListener("pointerdown", look);
  part.overview.canvas.addEventListener("click", event => {
    const box = part.overview.canvas.getBoundingClientRect();
    choose(part.overview.canvas.choice(event.clientX - box.left, event.clientY - box.top));
  });
  part.words.addEventListener("pointerover", event => {
    const span = event.target.closest("span");
    if (span) { Object.assign(chosen, { run, key: Number(span.dataset.key) }); go(chosen.step); }
  });
  return part;
});

// Numbers as they are read.
function number(value, digits = 2) {
  if (value === null || value === undefined || Number.isNaN(value)) { return "\u2013"; }
  if (Math.abs(value) < 1e-9) { return "0"; } // rounding
  const text = Math.abs(value) < .0995 ? value.toPrecision(2) : value.toFixed(value >= 100 ? 0 : digits);
  return (Math.abs(value) < 1e-3 ? value.toExponential(1) : text).replace(/-/g, "\u2212");
}
const textOf = token => data.texts[token] === undefined ? "" : data.texts[token];
const visible = text => text.replace(/\n/g, "\u21b5");
const stepOf = one => Math.min(chosen.step, one.steps - 1);
const becomes = (one, step, key) => isMasked(one, step, key) && !(step + 1 < one.steps && isMasked(one, step + 1, key));
const headName = (run, head) => head === run.heads ? "mean of the heads" : "head " + head;

// Everything that depends on layer, head and sequence.
function draw() {
  mix();
  for (const part of parts) {
    const { run } = part;
    part.one = run.sequences.find(one => one.sequence === chosen.sequence);
    const head = chosen.head === largest("heads") ? run.heads : chosen.head;
    const there = part.one && chosen.layer < run.layers && head <= run.heads;
    part.missing.textContent = there ? "" : "This run has no sequence " + chosen.sequence + ", layer " + chosen.layer +
      ", " + headName(run, head) + ".";
    part.shown.hidden = !there;
    drawOverview(part.overview.canvas, run, chosen.layer, head);
    if (!there) { part.one = null; continue; }
    part.now = read(run, part.one, chosen.layer, head);
    part.others = [];
    for (let other = 0; other < run.heads; ++other) {
      if (other !== head) { part.others.push(read(run, part.one, chosen.layer, other).strongest); }
    }
    const gated = part.now.strongest.filter((key, step) => part.now.sinks[step].has(key)).length;
    part.paths.told.innerHTML = "<b>The strongest key of each step</b>; full: a sink (" + gated + " of " +
      part.one.steps + "); faint: other heads";
    drawHeat(part.heat.canvas, run, part.one, part.now);
    part.text.hidden = part.one.tokens.every(token => token < 0);
    part.words.replaceChildren();
    for (let key = part.one.length; key < part.one.keys + part.one.length; ++key) {
      const span = element("span"); // extra sinks first
      span.dataset.key = key < part.one.keys ? key : key - part.one.keys;
      part.words.append(span);
    }
  }
  drawMixing();
  tables();
  go(chosen.step);
}

// Everything that depends on the step.
function go(to) {
  const last = Math.max(...parts.map(part => part.one ? part.one.steps - 1 : 0));
  chosen.step = Math.max(0, Math.min(last, to));
  at("step").max = last;
  at("step").value = chosen.step;
  for (const part of parts) {
    const { one, run, now } = part;
    if (!one) { continue; }
    const step = stepOf(one);
    const key = chosen.run === run && chosen.key < one.keys ? chosen.key : null;
    drawMarks(part.heat.marks, run, one, part.heat.canvas.place, step, key);
    drawPaths(part.paths.canvas, run, one, now, part.others, step);
    drawScatter(part.scatter.canvas, run, one, now, step, key);
    if (!part.text.hidden) { write(part, step, key); }
  }
  const first = parts.find(part => part.one && part.one.steps > last) || parts[0];
  at("where").textContent = "call " + (first.one ? first.one.calls[chosen.step] : "\u2013");
  history.replaceState(null, "", "#" + [chosen.layer, chosen.head === largest("heads") ? "mean" : chosen.head,
    chosen.step].join("."));
  tell();
}
function write({ words, one, now }, step, key) {
  for (const span of words.children) {
    const j = Number(span.dataset.key);
    const masked = isMasked(one, step, j);
    const times = now.times[step * one.keys + j];
    const text = j < one.length ? textOf(one.tokens[step * one.length + j]) : "[sink]";
    const back = colour(times, masked);
    const hidden = masked && !becomes(one, step, j);
    span.textContent = hidden ? "\u00b7" : text === "" ? "\u25ab" : text.replace(/\n/g, "\u21b5\n");
    span.style.background = shade(times) > 0 || masked ? "rgb(" + back + ")" : "";
    const light = .3 * back[0] + .59 * back[1] + .11 * back[2] > 130;
    span.style.color = light ? "#1a1917" : "#f4f2ec";
    span.className = (now.sinks[step].has(j) ? "sink " : "") + (masked && becomes(one, step, j) ? "fresh " : "") +
      (j === key ? "looked" : "");
    span.hidden = !isThere(one, step, j);
  }
}
function tell() {
  const box = at("detail");
  box.replaceChildren();
  const part = parts.find(part => part.run === chosen.run && part.one && chosen.key < part.one.keys);
  if (!part) {
    box.textContent = "Point at or tap a cell or a token. Arrow keys step, space plays.";
    return;
  }
  const { one, run, now } = part;
  const step = stepOf(one), key = chosen.key, cell = step * one.keys + key;
  const token = key < one.length ? one.tokens[step * one.length + key] : -1;
  const masked = isMasked(one, step, key);
  const name = key >= one.length ? "Extra sink" + (run.sinks > 1 ? " " + (key - one.length) : "")
    : masked && !becomes(one, step, key) ? "Masked"
    : token >= 0 ? "\u201c" + visible(textOf(token)) + "\u201d" : "Position " + key;
  const facts = [];
  if (data.runs.length > 1) { facts.push(run.name); }
  if (key < one.length) { facts.push("position " + key); }
  if (masked && becomes(one, step, key)) { facts.push("masked, filled in this step"); }
  facts.push("call " + one.calls[step]);
  if (isThere(one, step, key)) {
    facts.push("receives " + number(100 * now.share[cell]) + " % of a query's attention (" + number(now.times[cell]) +
      "\u00a0\u00d7\u00a0uniform)", "value norm " + number(now.norm[cell]) + "\u00a0\u00d7\u00a0median");
  } else {
    facts.push("not among the keys");
  }
  if (now.sinks[step].has(key)) { facts.push("a sink"); }
  box.append(element("b", "", name), " \u00b7 " + facts.join(" \u00b7 "));
}

// Mixing: a line a run, named at its end.
function drawMixing() {
  const lines = parts.filter(part => part.one && part.one.similarity.length > 0);
  at("mixing").hidden = lines.length === 0;
  if (lines.length === 0) { return; }
  const { pen, width, height } = surface(at("mixing").querySelector("canvas"), 190);
  const left = 30, right = width - 8, bottom = height - 17;
  const layers = Math.max(...lines.map(part => part.run.layers));
  const low = Math.min(0, ...lines.flatMap(part => part.one.similarity));
  const x = i => left + 8 + (right - left - 16) * i / Math.max(1, layers);
  const y = value => bottom - (bottom - 8) * (value - low) / (1 - low);
  for (const value of [0, .5, 1]) { label(pen, String(value), left - 5, y(value), "right"); }
  for (const i of ticks(layers, 12)) { label(pen, i === layers ? "end" : String(i), x(i), bottom + 10); }
  lines.forEach(({ run, one }, i) => {
    pen.strokeStyle = ink(1, i % 2 === 0 ? "--other" : "--accent");
    pen.lineWidth = 2;
    pen.setLineDash(i < 2 ? [] : [5, 4]);
    pen.beginPath();
    one.similarity.forEach((value, at) => pen.lineTo(x(at), y(value)));
    pen.stroke();
    label(pen, run.name, left + 14 + 18, 12 + 15 * i, "left");
    pen.beginPath();
    pen.moveTo(left + 8, 12 + 15 * i);
    pen.lineTo(left + 26, 12 + 15 * i);
    pen.stroke();
  });
}

// Tables: what the chosen head did and what all did, and a row for each layer and head.
function cells(row, values) {
  values.forEach((value, i) => row.append(element("td", i === 0 ? "first" : "", number(value))));
}
function heading(table, first, groups) {
  const head = table.createTHead();
  const above = head.insertRow(), below = head.insertRow();
  above.append(element("th"));
  below.append(element("th", "", first));
  for (const [name, columns] of groups) {
    const cell = element("th", "name first", name);
    cell.colSpan = columns.length;
    above.append(cell);
    columns.forEach((column, i) => below.append(element("th", i === 0 ? "first" : "", column)));
  }
}
function tables() {
  const compared = at("compared"), each = at("each");
  compared.replaceChildren();
  each.replaceChildren();
  const mean = chosen.head === largest("heads");
  const here = chosen.layer + ", " + (mean ? "mean" : chosen.head);
  heading(compared, "layer, head", data.runs.map(run => [run.name, [here, "all"]]));
  const body = compared.createTBody();
  data.columns.forEach((column, i) => {
    const row = body.insertRow();
    row.append(element("td", "", column.title));
    for (const run of data.runs) {
      const index = chosen.layer * (run.heads + 1) + (mean ? run.heads : chosen.head);
      cells(row, [chosen.layer < run.layers && run.metrics[index] ? run.metrics[index][i] : null, run.summary[i]]);
    }
  });
  heading(each, "layer, head", data.runs.map(run => [run.name, data.columns.map(column => column.title)]));
  const rows = each.createTBody();
  for (let layer = 0; layer < largest("layers"); ++layer) {
    for (let head = 0; head < largest("heads"); ++head) {
      const row = rows.insertRow();
      row.className = layer === chosen.layer && head === chosen.head ? "chosen" : "";
      row.append(element("td", "", layer + ", " + head));
      row.addEventListener("click", () => choose({ layer, head }));
      for (const run of data.runs) {
        const there = layer < run.layers && head < run.heads;
        cells(row, there ? run.metrics[layer * (run.heads + 1) + head] : data.columns.map(() => null));
      }
    }
  }
}

// Choosing and stepping.
function choose(what) {
  if (!what) { return; }
  Object.assign(chosen, what);
  if ("head" in what && what.head >= largest("heads")) { chosen.head = largest("heads"); }
  at("layer").value = chosen.layer;
  at("head").value = chosen.head;
  at("sequence").value = chosen.sequence;
  draw();
}
function play() {
  if (timer) { pause(); return; }
  const last = Number(at("step").max);
  if (chosen.step === last) { go(0); }
  timer = setInterval(() => { go(chosen.step + 1); if (chosen.step === last) { pause(); } },
    Math.max(60, Math.min(500, 10000 / (last + 1))));
  icon();
}
at("play").addEventListener("click", play);
at("step").addEventListener("input", () => { pause(); go(Number(at("step").value)); });
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, summary")) { return; }
  const moves = { ArrowLeft: chosen.step - 1, ArrowRight: chosen.step + 1 };
  if (event.key in moves) { pause(); go(moves[event.key]); event.preventDefault(); }
  if (event.key === " " && event.target !== at("play")) { play(); event.preventDefault(); }
});
const option = (select, value, text) => {
  const made = element("option", "", text);
  made.value = value;
  at(select).append(made);
};
for (let layer = 0; layer < largest("layers"); ++layer) { option("layer", layer, layer); }
for (let head = 0; head < largest("heads"); ++head) { option("head", head, head); }
option("head", largest("heads"), "mean");
for (const sequence of sequences) { option("sequence", sequence, sequence); }
at("which").hidden = sequences.length < 2;
for (const name of ["layer", "head", "sequence"]) {
  at(name).addEventListener("change", event => choose({ [name]: Number(event.target.value) }));
}

// The key of colours, and what the numbers mean.
function keyOfColours() {
  mix();
  at("key").replaceChildren();
  for (const masked of data.runs.some(run => run.sequences.some(one => one.masked.some(byte => byte))) ? [0, 1] : [0]) {
    const item = element("span"), canvas = element("canvas");
    canvas.width = 256;
    canvas.height = 1;
    const pen = canvas.getContext("2d");
    colours[masked].forEach((one, i) => { pen.fillStyle = "rgb(" + one + ")"; pen.fillRect(i, 0, 1, 1); });
    item.append((masked ? "masked" : "holds a token") + " 1\u00d7", canvas, most + "\u00d7");
    at("key").append(item);
  }
  at("key").append("attention received, over what uniform attention would give (logarithmic)");
}
at("title").textContent = data.title;
at("definition").textContent = data.definition;
for (const column of data.columns) {
  at("meanings").append(element("dt", "", column.title), element("dd", "", column.meaning));
}
const [, layer, head, step] = /^#(\d+)\.(\d+|mean)\.(\d+)$/.exec(location.hash) || [];
keyOfColours();
icon();
chosen.step = step === undefined ? Infinity : Number(step); // the last one
choose(layer === undefined ? {} : { layer: Math.min(Number(layer), largest("layers") - 1),
  head: head === "mean" ? largest("heads") : Number(head) });
dark.addEventListener("change", () => { keyOfColours(); draw(); });
let width = innerWidth;
addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; draw(); } });
)html";

} // namespace detail
UNMASK_NAMESPACE_END
