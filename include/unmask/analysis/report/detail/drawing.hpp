// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// The first part of the script of the page that write_sink_html writes: reading the data, colours, and the pictures.
// script.hpp puts them on the page.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr const char* sink_page_drawing = R"html(
// A byte stands for a number of [0, 1]: 0 for 0, and 255 − c · n for 2^−n, with c codes an octave.
const unit = octave => Float64Array.from({ length: 256 }, (_, code) => code === 0 ? 0 : 2 ** ((code - 255) / octave));
const shareOf = unit(data.codes.share), normOf = unit(data.codes.norm);
const bytes = text => Uint8Array.from(atob(text), one => one.charCodeAt(0));
for (const run of data.runs) {
  for (const one of run.sequences) {
    one.steps = one.calls.length;
    one.keys = one.length + run.sinks;
    for (const name of ["received", "norms", "masked"]) { one[name] = bytes(one[name]); }
    const changes = one.tokens;
    one.tokens = new Int32Array(one.steps * one.length).fill(-1);
    changes.forEach((change, step) => {
      one.tokens.copyWithin(step * one.length, (step - 1) * one.length, step * one.length);
      for (let i = 0; i < change.length; i += 2) { one.tokens[step * one.length + change[i]] = change[i + 1]; }
    });
  }
}
const isMasked = (one, step, key) => {
  const bit = step * one.length + key;
  return key < one.length && (one.masked[bit >> 3] >> (bit & 7) & 1) === 1;
};
// Whether a key is there in a step: a cache may hold less than the sequence.
const isThere = (one, step, key) => key >= one.length || key < one.lengths[step];

// What one layer and head, or the mean of the heads, did in a sequence; arrays are [steps, keys].
function read(run, one, layer, head) {
  const { steps, keys } = one;
  const cube = (from, value, heads, first, count) => {
    const mean = new Float32Array(steps * keys);
    for (let step = 0; step < steps; ++step) {
      for (let key = 0; key < keys; ++key) {
        for (let i = first; i < first + count; ++i) {
          mean[step * keys + key] += value[from[((step * run.layers + layer) * heads + i) * keys + key]] / count;
        }
      }
    }
    return mean;
  };
  const all = head === run.heads;
  const share = cube(one.received, shareOf, run.heads, all ? 0 : head, all ? run.heads : 1);
  const group = Math.floor(head / (run.heads / run.kv_heads));
  const norm = cube(one.norms, normOf, run.kv_heads, all ? 0 : group, all ? run.kv_heads : 1);
  const times = new Float32Array(share.length);
  const strongest = [];
  for (let step = 0; step < steps; ++step) {
    const begin = step * keys;
    const sorted = norm.slice(begin, begin + one.lengths[step]).sort();
    const median = (sorted[sorted.length >> 1] + sorted[sorted.length - 1 >> 1]) / 2;
    let best = 0;
    for (let key = 0; key < keys; ++key) {
      times[begin + key] = share[begin + key] / one.uniform[step * run.layers + layer];
      norm[begin + key] /= median || 1;
      if (share[begin + key] > share[begin + best]) { best = key; }
    }
    strongest.push(best);
  }
  const rows = run.heads + 1;
  const sinks = one.calls.map((_, step) => new Set(one.sinks[(step * run.layers + layer) * rows + head]));
  return { share, times, norm, strongest, sinks };
}

// Colours, from nothing to most: of what holds a token, and of what is masked.
const ramps = {
  light: [["252 251 248", "250 212 168", "234 142 66", "178 74 26", "84 30 10"],
    ["233 240 247", "172 203 232", "92 150 208", "36 92 158", "12 42 84"]],
  dark: [["22 22 24", "84 44 24", "186 96 44", "248 172 104", "255 240 220"],
    ["34 40 52", "38 72 116", "62 122 190", "140 188 242", "228 242 255"]],
};
const dark = matchMedia("(prefers-color-scheme: dark)");
let colours = [];
function mix() {
  colours = ramps[dark.matches ? "dark" : "light"].map(ramp => {
    const stops = ramp.map(stop => stop.split(" ").map(Number));
    return Array.from({ length: 256 }, (_, i) => {
      const place = i / 255 * (stops.length - 1);
      const below = Math.min(Math.floor(place), stops.length - 2);
      return stops[below].map((from, c) => Math.round(from + (place - below) * (stops[below + 1][c] - from)));
    });
  });
}
const ink = (alpha = 1, name = "--ink") =>
  "rgb(" + getComputedStyle(document.documentElement).getPropertyValue(name) + " / " + alpha + ")";

// Shades are logarithms: from 1 × uniform, which is blank, to the most that is on the page.
let most = 4;
for (const run of data.runs) { most = Math.max(most, 2 ** Math.ceil(Math.log2(run.most))); }
const shade = times => Math.round(255 * Math.min(1, Math.max(0, Math.log2(times) / Math.log2(most))));
const colour = (times, masked) => colours[masked ? 1 : 0][times > 0 ? shade(times) : 0];

function surface(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "11px system-ui, sans-serif";
  return { pen, width, height, ratio };
}
function ticks(most, room) {
  const atLeast = Math.max(1, most / Math.max(1, room));
  const power = 10 ** Math.floor(Math.log10(atLeast));
  const step = [1, 2, 5, 10].map(one => one * power).find(one => one >= atLeast);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => i * step);
}
function label(pen, text, x, y, align = "center", baseline = "middle") {
  pen.fillStyle = ink(.62);
  pen.textAlign = align;
  pen.textBaseline = baseline;
  pen.fillText(text, x, y);
}

// Cells in an area of the canvas. Where a pixel has several, the strongest: thin columns stay visible.
function paint({ pen, ratio }, area, run, one, now, first, count) {
  const [left, top, width, height] = area.map(value => Math.round(value * ratio));
  if (width < 1 || height < 1 || count < 1) { return; }
  const image = pen.createImageData(width, height);
  const from = (i, size, cells) => Math.floor(i * cells / size);
  const until = (i, size, cells) => Math.max(from(i, size, cells) + 1, from(i + 1, size, cells));
  let row = null;
  for (let y = 0; y < height; ++y) {
    const same = y > 0 && from(y, height, one.steps) === from(y - 1, height, one.steps) && one.steps <= height;
    if (!same) {
      row = new Uint8ClampedArray(4 * width);
      for (let x = 0; x < width; ++x) {
        let best = -1, masked = false;
        for (let step = from(y, height, one.steps); step < until(y, height, one.steps); ++step) {
          for (let key = first + from(x, width, count); key < first + until(x, width, count); ++key) {
            const times = isThere(one, step, key) ? now.times[step * one.keys + key] : -1;
            if (times > best) { best = times; masked = isMasked(one, step, key); }
          }
        }
        row.set(best < 0 ? [0, 0, 0, 0] : [...colour(best, masked), 255], 4 * x);
      }
    }
    image.data.set(row, 4 * width * y);
  }
  pen.putImageData(image, left, top);
}

// Where the parts of a heat map are: extra sinks in a column of their own, left of the positions.
function layout(canvas, run, one) {
  const left = 32;
  const wide = run.sinks * Math.max(6, Math.min(14, 42 / Math.max(1, run.sinks)));
  const begin = left + wide + (run.sinks > 0 ? 7 : 0);
  const height = Math.max(120, Math.min(330, one.steps * 6));
  return { left, wide, begin, top: 7, span: canvas.clientWidth - begin - 8, height, cell: height / one.steps };
}
function keyAt(run, one, place, x) {
  if (x < place.begin - 3) { return one.length + Math.floor((x - place.left) / place.wide * run.sinks); }
  return Math.floor((x - place.begin) / place.span * one.length);
}
function xOf(run, one, place, key) {
  return key < one.length ? place.begin + key * place.span / one.length
    : place.left + (key - one.length) * place.wide / run.sinks;
}
function drawHeat(canvas, run, one, now) {
  const place = layout(canvas, run, one);
  const on = surface(canvas, place.top + place.height + 17);
  paint(on, [place.left, place.top, place.wide, place.height], run, one, now, one.length, run.sinks);
  paint(on, [place.begin, place.top, place.span, place.height], run, one, now, 0, one.length);
  const bottom = place.top + place.height;
  for (const step of ticks(one.steps - 1, place.height / 40)) {
    label(on.pen, String(one.calls[step]), place.left - 7, place.top + (step + .5) * place.cell, "right");
  }
  for (const key of ticks(one.length - 1, place.span / 60)) {
    label(on.pen, String(key), place.begin + (key + .5) * place.span / one.length, bottom + 10);
  }
  on.pen.strokeStyle = ink(.2);
  on.pen.strokeRect(place.begin - .5, place.top - .5, place.span + 1, place.height + 1);
  if (run.sinks > 0) {
    on.pen.strokeRect(place.left - .5, place.top - .5, place.wide + 1, place.height + 1);
    label(on.pen, run.sinks > 1 ? "sinks" : "sink", place.left + place.wide, bottom + 10, "right");
  }
  canvas.place = place;
}
// What is looked at, in a layer above the heat map.
function drawMarks(canvas, run, one, place, step, key) {
  const { pen, width } = surface(canvas, place.top + place.height + 17);
  const y = place.top + (step + .5) * place.cell;
  pen.fillStyle = ink();
  for (const [x, to] of [[place.left - 5, place.left], [width - 2, width - 7]]) {
    pen.beginPath();
    pen.moveTo(x, y - 4);
    pen.lineTo(to, y);
    pen.lineTo(x, y + 4);
    pen.fill();
  }
  if (key !== null) {
    const size = key < one.length ? place.span / one.length : place.wide / run.sinks;
    const grow = Math.max(0, (7 - size) / 2);
    pen.strokeStyle = ink();
    pen.lineWidth = 1.5;
    const x = xOf(run, one, place, key) - grow;
    pen.strokeRect(x, place.top + step * place.cell - 1.5, size + 2 * grow, place.cell + 3);
  }
}

// The strongest key of every step; faint those of the other heads. Extra sinks are below position 0.
function drawPaths(canvas, run, one, now, others, step) {
  const on = surface(canvas, 190);
  const left = 30, bottom = on.height - 17, right = on.width - 8;
  const band = run.sinks > 0 ? 18 : 0;
  const x = i => left + (i + .5) * (right - left) / one.steps;
  const y = key => key < one.length ? 5 + (bottom - band - 10) * (1 - key / Math.max(1, one.length - 1))
    : bottom - 8 - 6 * (key - one.length) / run.sinks;
  const { pen } = on;
  pen.fillStyle = ink(.05);
  pen.fillRect(left, bottom - band, right - left, band);
  pen.fillStyle = ink(.1);
  pen.fillRect(x(step) - 1, 0, 2, bottom);
  for (const key of ticks(one.length - 1, (bottom - band) / 40)) { label(pen, String(key), left - 5, y(key), "right"); }
  for (const i of ticks(one.steps - 1, (right - left) / 60)) { label(pen, String(one.calls[i]), x(i), bottom + 10); }
  if (band > 0) { label(pen, "sink", left - 5, bottom - 9, "right"); }
  const dot = (i, key, size, style, hollow) => {
    pen.beginPath();
    pen.arc(x(i), y(key), size, 0, 7);
    pen[hollow ? "strokeStyle" : "fillStyle"] = style;
    pen[hollow ? "stroke" : "fill"]();
  };
  for (const strongest of others) { strongest.forEach((key, i) => dot(i, key, 1.5, ink(.14), false)); }
  pen.strokeStyle = ink(.3);
  pen.lineWidth = 1;
  pen.beginPath();
  now.strongest.forEach((key, i) => pen.lineTo(x(i), y(key)));
  pen.stroke();
  pen.lineWidth = 1.25;
  now.strongest.forEach((key, i) => {
    const style = ink(1, isMasked(one, i, key) ? "--other" : "--accent");
    const isSink = now.sinks[i].has(key);
    dot(i, key, 3, isSink ? style : ink(1, "--paper"), false);
    if (!isSink) { dot(i, key, 2.5, style, true); }
    for (const other of now.sinks[i]) { if (other !== key) { dot(i, other, 2, style, false); } }
  });
}

// Attention received against the norm of the value. The looked-at step is strong, the others faint.
function drawScatter(canvas, run, one, now, step, key) {
  const on = surface(canvas, 220);
  const { pen } = on;
  const left = 30, right = on.width - 16, bottom = on.height - 17, top = 8;
  let highest = 2;
  for (const norm of now.norm) { highest = Math.max(highest, Math.ceil(norm)); }
  const floor = -3, ceiling = Math.log2(most);
  const x = times => left + 6 + (right - left - 6) * (Math.max(floor, Math.log2(times)) - floor) / (ceiling - floor);
  const y = norm => bottom - (bottom - top) * norm / highest;
  pen.strokeStyle = ink(.16);
  pen.beginPath();
  const line = (x1, y1, x2, y2) => { pen.moveTo(x1, y1); pen.lineTo(x2, y2); };
  line(left, y(1), right, y(1));
  line(x(1), top, x(1), bottom);
  line(left, bottom, right, bottom);
  pen.stroke();
  for (const norm of ticks(highest, 4)) { label(pen, String(norm), left - 5, y(norm), "right"); }
  for (let power = floor + 1; power <= ceiling; power += (right - left) / (ceiling - floor) < 40 ? 2 : 1) {
    label(pen, (power < 0 ? "1/" + 2 ** -power : 2 ** power) + "\u00d7", x(2 ** power), bottom + 10);
  }
  const mark = (i, j, size, alpha) => {
    const px = x(now.times[i * one.keys + j]), py = y(now.norm[i * one.keys + j]);
    pen.fillStyle = ink(alpha, now.sinks[i].has(j) ? isMasked(one, i, j) ? "--other" : "--accent" : "--ink");
    pen.beginPath();
    if (j < one.length) { pen.arc(px, py, size, 0, 7); } else { // a diamond
      const far = 1.6 * size;
      for (const [dx, dy] of [[0, -far], [far, 0], [0, far], [-far, 0]]) { pen.lineTo(px + dx, py + dy); }
    }
    pen.fill();
    return [px, py];
  };
  const stride = Math.max(1, Math.ceil(one.steps * one.keys / 6000));
  for (let cell = 0; cell < one.steps * one.keys; ++cell) {
    const i = Math.floor(cell / one.keys), j = cell % one.keys;
    if (isThere(one, i, j) && (cell % stride === 0 || now.sinks[i].has(j))) {
      mark(i, j, now.sinks[i].has(j) ? 2.5 : 1.25, now.sinks[i].has(j) ? .3 : .07);
    }
  }
  for (let j = 0; j < one.keys; ++j) {
    if (isThere(one, step, j)) { mark(step, j, now.sinks[step].has(j) ? 4 : 2, now.sinks[step].has(j) ? 1 : .5); }
  }
  if (key !== null && isThere(one, step, key)) {
    const [px, py] = mark(step, key, 2, 1);
    pen.strokeStyle = ink();
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(px, py, 7, 0, 7);
    pen.stroke();
  }
}

// All layers and heads of a run: how strong the strongest key is, mean over steps.
function drawOverview(canvas, run, layer, head) {
  const cell = Math.max(6, Math.min(16, 160 / run.layers));
  const on = surface(canvas, run.layers * cell + 18);
  const left = 30;
  const wide = Math.max(6, Math.min(30, (on.width - left - 50) / (run.heads + 1)));
  for (let row = 0; row < run.layers; ++row) {
    for (let column = 0; column <= run.heads; ++column) {
      const x = left + column * wide + (column === run.heads ? 6 : 0);
      on.pen.fillStyle = "rgb(" + colour(run.strength[row * (run.heads + 1) + column], false) + ")";
      on.pen.fillRect(x, row * cell + 1, wide - 1, cell - 1);
      on.pen.strokeStyle = row === layer && column === head ? ink() : ink(.18);
      on.pen.lineWidth = row === layer && column === head ? 2 : 1;
      on.pen.strokeRect(x, row * cell + 1, wide - 1, cell - 1);
    }
  }
  for (const row of ticks(run.layers - 1, run.layers * cell / 14)) {
    label(on.pen, String(row), left - 5, (row + .5) * cell, "right");
  }
  for (const column of ticks(run.heads - 1, run.heads * wide / 26)) {
    label(on.pen, String(column), left + (column + .5) * wide, run.layers * cell + 10);
  }
  label(on.pen, "mean", left + run.heads * wide + 6, run.layers * cell + 10, "left");
  canvas.choice = (x, y) => {
    const column = x > left + run.heads * wide + 3 ? run.heads : Math.floor((x - left) / wide);
    const row = Math.floor(y / cell);
    return row >= 0 && row < run.layers && column >= 0 ? { layer: row, head: column } : null;
  };
}
)html";

} // namespace detail
UNMASK_NAMESPACE_END
