// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// The fixed parts of the page that write_html writes, but for those that html_parts.hpp has.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr const char* html_style = R"html(</title>
<style>
:root { --paper: 252 251 248; --ink: 26 25 23; --accent: 178 74 26; }
@media (prefers-color-scheme: dark) { :root { --paper: 22 22 24; --ink: 232 230 224; --accent: 240 150 92; } }
* { box-sizing: border-box; }
body { display: flex; flex-direction: column; min-height: 100vh; margin: 0;
  background: rgb(var(--paper)); color: rgb(var(--ink));
  font: 1.25rem/1.7 "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, serif; }
main { flex: 1; width: 100%; max-width: 42rem; margin: 0 auto; padding: 3rem 1.25rem 2rem; }
h1 { margin: 0 0 2rem; font-size: 1.25rem; font-weight: 400; font-style: italic; color: rgb(var(--ink) / .7); }
h2 { margin: 2.5rem 0 .25rem; font: .75rem/1.5 system-ui, sans-serif; color: rgb(var(--ink) / .6); }
p.text { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
p.text span { cursor: default; border-radius: 2px; color: rgb(var(--ink) / calc(.3 + .7 * var(--s, 1))); }
p.text .given { font-weight: 700; }
p.text .dot { color: transparent; user-select: none;
  background: radial-gradient(circle, rgb(var(--ink) / .36) 0 1.3px, transparent 2px) center no-repeat; }
p.text .again {
  background: radial-gradient(circle, transparent 0 1.9px, rgb(var(--accent)) 2.3px 3.4px, transparent 4px)
    center no-repeat; }
p.text .noise { color: rgb(var(--ink) / .26); font-style: italic; }
p.text .filled, p.text .line-end { color: rgb(var(--ink) / .42); }
p.text .edited, .key .edited { text-decoration: underline solid rgb(var(--accent)) 2px; text-underline-offset: .2em; }
p.text .redone, .key .redone { text-decoration: underline dotted rgb(var(--accent)) 2px; text-underline-offset: .2em; }
p.text .fresh, .key .fresh { background-color: rgb(var(--accent) / .2); }
p.text .looked { outline: 1.5px solid rgb(var(--accent)); outline-offset: 1px; }
footer { position: sticky; bottom: 0; background: rgb(var(--paper)); border-top: 1px solid rgb(var(--ink) / .14);
  font: .8125rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
footer > div { max-width: 42rem; margin: 0 auto; padding: .5rem 1.25rem .75rem; }
#detail { min-height: 3em; color: rgb(var(--ink) / .75); overflow-wrap: anywhere; }
#detail b { color: rgb(var(--ink)); font-weight: 600; }
#bars { display: block; width: calc(100% - 2.75rem); height: 26px; margin-left: 2.75rem; color: rgb(var(--ink)); }
.row { display: flex; align-items: center; gap: .75rem; }
#step { flex: 1; min-width: 0; margin: 0; accent-color: rgb(var(--ink)); }
button { flex: none; width: 2rem; height: 2rem; padding: 0; border: 1px solid rgb(var(--ink) / .25); border-radius: 50%;
  background: none; color: inherit; cursor: pointer; }
button svg { display: block; margin: auto; fill: currentColor; }
button:hover { border-color: rgb(var(--ink) / .6); }
.line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1.25rem; color: rgb(var(--ink) / .75);
  padding-left: 2.75rem; }
.key { display: flex; flex-wrap: wrap; gap: 0 .9em; }
.key > span { white-space: nowrap; }
.key .sure { font-style: normal; background: linear-gradient(90deg, rgb(var(--ink) / .3), rgb(var(--ink)));
  background-clip: text; -webkit-background-clip: text; color: transparent; }
.key i { display: inline-block; width: .7em; height: .7em; border-radius: 50%; vertical-align: -.06em;
  border: 1.5px solid rgb(var(--accent)); }
.key b { font-weight: 700; }
@media (max-width: 30rem) { main { padding-top: 1.5rem; } body { font-size: 1.125rem; } .line { padding-left: 0; } }
</style>
</head>
<body>
<main><h1 id="title"></h1><div id="pages"></div></main>
<footer><div>
<div id="detail" aria-live="polite"></div>
<svg id="bars" preserveAspectRatio="none" aria-hidden="true"></svg>
<div class="row"><button id="play" type="button" aria-label="Play"></button>
<input id="step" type="range" min="0" value="0" aria-label="Call of the model"></div>
<div class="line"><span id="where"></span><span class="key" id="key"></span></div>
</div></footer>
<noscript>This page shows a generation step by step and needs JavaScript; it loads nothing.</noscript>
<script id="data" type="application/json">)html";

inline constexpr const char* html_script = R"html(
const kinds = ["", "committed", "masked again", "given new noise", "edited", "filled"];
const COMMIT = 1, REMASK = 2, RENOISE = 3, EDIT = 4, FILL = 5;
at("title").textContent = data.title;

// One cell a position. `last` is the token it ends with: a dot is as wide, so that the text stays where it is.
const cells = [];
const offsets = [];
data.sequences.forEach((sequence, index) => {
  offsets.push(cells.length);
  if (data.sequences.length > 1) {
    const heading = document.createElement("h2");
    heading.textContent = "Sequence " + index + (sequence.id === String(index) ? "" : ", id " + sequence.id);
    at("pages").append(heading);
  }
  const text = document.createElement("p");
  text.className = "text";
  sequence.tokens.forEach((token, position) => {
    const span = document.createElement("span");
    span.dataset.cell = cells.length;
    text.append(span);
    cells.push({ span, sequence: index, position, token, state: sequence.states[position], last: token, shade: 1,
      change: null, marks: 0, history: [] });
  });
  at("pages").append(text);
});
const REDONE = 1, EDITED = 2, AGAIN = 4, FILLED = 8;

// Steps are the calls that changed something. A change keeps what was before it, so that time runs both ways.
const steps = [];
for (const [call, sequence, position, token, kind, shade, score, p] of data.changes) {
  if (steps.length === 0 || steps[steps.length - 1].call !== call) { steps.push({ call, changes: [] }); }
  const change = { call, cell: cells[offsets[sequence] + position], token, kind, shade: shade / 100, score, p };
  steps[steps.length - 1].changes.push(change);
  change.cell.last = token;
}
let filled = 0;
let total = 0;
for (const cell of cells) {
  if (cell.state === "m") { ++total; }
}
const start = total;
let now = 0;
let fresh = [];

function apply(change) {
  const cell = change.cell;
  change.before = { token: cell.token, state: cell.state, shade: cell.shade, change: cell.change, marks: cell.marks };
  cell.history.push(change);
  const was = cell.state;
  cell.state = change.kind === REMASK || change.kind === RENOISE ? "m" : "c";
  filled += (was === "m") - (cell.state === "m");
  cell.token = change.token;
  cell.change = change;
  if (change.kind === REMASK) { cell.marks = AGAIN; }
  if (change.kind === COMMIT) { cell.marks = cell.marks & AGAIN ? REDONE : 0; }
  if (change.kind === EDIT) { cell.marks = EDITED; }
  if (change.kind === FILL) { cell.marks = FILLED; }
  if (change.kind !== REMASK && change.kind !== RENOISE) { cell.shade = change.shade; }
}
function undo(change) {
  const cell = change.cell;
  filled -= (change.before.state === "m") - (cell.state === "m");
  Object.assign(cell, change.before);
  cell.history.pop();
}
function draw(cell, isFresh) {
  const masked = cell.state === "m";
  const noise = masked && cell.token !== data.mask;
  let text = data.texts[masked && !noise ? cell.last : cell.token] || "";
  if (masked && !noise && cell.last === data.mask) { text = "\u00a0"; }
  text = text.replace(/\n/g, "\u21b5\n");
  const names = [];
  if (cell.state === "p") { names.push("given"); }
  if (masked) { names.push(noise ? "noise" : "dot"); }
  if (masked && !noise && cell.marks & AGAIN) { names.push("again"); }
  if (!masked && cell.marks & FILLED) { names.push("filled"); }
  if (!masked && cell.marks & EDITED) { names.push("edited"); }
  if (!masked && cell.marks & REDONE) { names.push("redone"); }
  if (!masked && text === "\u21b5\n") { names.push("line-end"); }
  if (isFresh) { names.push("fresh"); }
  if (cell === looked) { names.push("looked"); }
  cell.span.className = names.join(" ");
  cell.span.textContent = text === "" ? "\u25ab" : text;
  cell.span.style.setProperty("--s", cell.shade);
}
function go(to) {
  to = Math.max(0, Math.min(steps.length, to));
  const touched = new Set(fresh);
  while (now < to) { for (const change of steps[now++].changes) { apply(change); touched.add(change.cell); } }
  while (now > to) {
    const changes = steps[--now].changes;
    for (let i = changes.length; i-- > 0;) { undo(changes[i]); touched.add(changes[i].cell); }
  }
  fresh = now > 0 ? steps[now - 1].changes.map(change => change.cell) : [];
  const isFresh = new Set(fresh);
  for (const cell of new Set([...touched, ...fresh])) { draw(cell, isFresh.has(cell)); }
  at("step").value = now;
  at("where").textContent = (now === 0 ? "Before the first call" : "Call " + steps[now - 1].call + " / " +
    steps[steps.length - 1].call) + " \u00b7 " + (cells.length - given - start + filled) + " of " +
    (cells.length - given) + " filled";
  at("step").setAttribute("aria-valuetext", at("where").textContent);
  for (const bar of at("bars").children) { bar.style.opacity = bar.dataset.step <= now ? .6 : .2; }
  tell();
}
const given = cells.filter(cell => cell.state === "p").length;

// What is known of the position that is looked at.
let looked = null;
function number(value) {
  if (typeof value === "string") { return value.replace("-", "\u2212").replace("inf", "\u221e"); }
  const text = value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential(2) : value.toFixed(3);
  return text.replace(/-/g, "\u2212");
}
function quoted(token) { return "\u201c" + (data.texts[token] || "").replace(/\n/g, "\u21b5") + "\u201d"; }
function tell() {
  const box = at("detail");
  box.replaceChildren();
  if (!looked) {
    box.textContent = "Point at or tap a token. Arrow keys step, space plays.";
    return;
  }
  const { change, position, state } = looked;
  const bold = document.createElement("b");
  bold.textContent = state === "m" && looked.token === data.mask ? "Masked" : quoted(looked.token);
  const facts = ["position " + position, state === "p" ? "given" : "token " + looked.token];
  if (change) {
    facts.push(kinds[change.kind] + " in call " + change.call);
    if (change.kind === COMMIT || change.kind === EDIT) {
      facts.push("score " + number(change.score), "log p " + number(change.p));
    }
  }
  box.append(bold, " \u00b7 " + facts.join(" \u00b7 "));
  const older = looked.history.slice(0, -1).filter(one => one.kind !== REMASK);
  if (older.length > 0) {
    const told = older.slice(-4).map(one => quoted(one.token) + " (call " + one.call + ")");
    box.append(" \u00b7 before: " + told.join(", "));
  }
}
function look(event) {
  const span = event.target.closest("span[data-cell]");
  if (event.type === "pointerover" && !span) { return; }
  const old = looked;
  looked = span ? cells[span.dataset.cell] : null;
  if (old) { old.span.classList.remove("looked"); }
  if (looked) { looked.span.classList.add("looked"); }
  tell();
}
at("pages").addEventListener("pointerover", look);
at("pages").addEventListener("click", look);

// Playing: the whole run in about ten seconds.
function play() {
  if (timer) { pause(); return; }
  if (now === steps.length) { go(0); }
  timer = setInterval(() => { go(now + 1); if (now === steps.length) { pause(); } },
    Math.max(40, Math.min(500, 10000 / Math.max(1, steps.length))));
  icon();
}
at("play").addEventListener("click", play);
at("step").max = steps.length;
at("step").addEventListener("input", () => { pause(); go(Number(at("step").value)); });
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) { return; }
  const moves = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: steps.length };
  if (event.key in moves) { pause(); go(moves[event.key]); event.preventDefault(); }
  if (event.key === " " && event.target !== at("play")) { play(); event.preventDefault(); }
});

// A bar a step: how much it changed.
const most = steps.reduce((a, step) => Math.max(a, step.changes.length), 1);
at("bars").setAttribute("viewBox", "0 0 " + Math.max(1, steps.length) + " 1");
steps.forEach((step, i) => {
  const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const height = step.changes.length / most;
  for (const [name, value] of Object.entries({ x: i + .1, y: 1 - height, width: .8, height, fill: "currentColor" })) {
    bar.setAttribute(name, value);
  }
  bar.dataset.step = i + 1;
  at("bars").append(bar);
});

// The key names the marks that this trace has.
const has = new Set(data.changes.map(change => change[4]));
const keys = [["b", "", "given", cells.some(cell => cell.state === "p")], ["span", "sure", "unsure to sure", true],
  ["span", "fresh", "new", true],
  ["span", "edited", "edited", has.has(EDIT)], ["i", "", " masked again", has.has(REMASK)],
  ["span", "redone", "redone", has.has(REMASK)]];
for (const [tag, name, text, there] of keys) {
  if (there) {
    const item = document.createElement("span");
    const mark = document.createElement(tag);
    mark.className = name;
    if (tag === "i") { item.append(mark, text); } else { mark.textContent = text; item.append(mark); }
    at("key").append(item);
  }
}
icon();
for (const cell of cells) { draw(cell, false); }
go(/^#\d+$/.test(location.hash) ? Number(location.hash.slice(1)) : steps.length);
)html";

} // namespace detail
UNMASK_NAMESPACE_END
