// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// The fixed parts of the page that write_sink_html writes, up to its data: style and structure. What it does is in
// script.hpp.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr const char* sink_page_style = R"html(</title>
<style>
:root { --paper: 252 251 248; --ink: 26 25 23; --accent: 178 74 26; --other: 44 98 166; }
@media (prefers-color-scheme: dark) {
  :root { --paper: 22 22 24; --ink: 232 230 224; --accent: 240 150 92; --other: 122 176 240; }
}
* { box-sizing: border-box; }
body { display: flex; flex-direction: column; min-height: 100vh; margin: 0; background: rgb(var(--paper));
  color: rgb(var(--ink)); font: .9375rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { flex: 1; width: 100%; max-width: 84rem; margin: 0 auto; padding: 2rem 1.5rem; }
h1 { margin: 0; font: italic 400 1.5rem/1.3 Palatino, "Palatino Linotype", "Book Antiqua", Georgia, serif; }
h2 { margin: 0 0 .75rem; font-size: 1.0625rem; font-weight: 600; overflow-wrap: anywhere; }
h3 { margin: 2.5rem 0 .5rem; font-size: 1.0625rem; font-weight: 600; }
.quiet, figcaption, th, dd { color: rgb(var(--ink) / .68); }
header p { margin: .25rem 0 0; max-width: 60rem; }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; align-items: center; margin: 1rem 0 1.75rem;
  font-size: .8125rem; }
.key span { display: inline-flex; gap: .5em; align-items: center; }
.key canvas { width: 9rem; height: .75rem; border-radius: 2px; }
#mixing canvas { max-width: 44rem; }
#runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); gap: 2.5rem; }
#runs > section { min-width: 0; }
figure { margin: 0 0 1.25rem; }
figcaption { font-size: .8125rem; margin-bottom: .25rem; }
figcaption b { color: rgb(var(--ink)); font-weight: 600; }
figure canvas { display: block; width: 100%; touch-action: pan-y; }
p.text { margin: 0; max-height: 16rem; overflow-y: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 1.0625rem/1.6 Palatino, "Palatino Linotype", "Book Antiqua", Georgia, serif; }
p.text span { border-radius: 2px; cursor: default; }
p.text .sink { box-shadow: inset 0 -2px rgb(var(--accent)); }
p.text .fresh { font-style: italic; }
p.text .looked { outline: 1.5px solid rgb(var(--ink)); outline-offset: 1px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; font-weight: 400; vertical-align: baseline; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid rgb(var(--ink) / .25); vertical-align: bottom; }
tbody td { border-bottom: 1px solid rgb(var(--ink) / .09); white-space: nowrap; }
tbody td:first-child { white-space: normal; }
thead .name { color: rgb(var(--ink)); font-weight: 600; text-align: left; padding-left: .9rem; }
.first { padding-left: .9rem; border-left: 1px solid rgb(var(--ink) / .14); }
tr.chosen td { background: rgb(var(--accent) / .12); }
#each tbody tr { cursor: pointer; }
details { margin-top: 1.25rem; }
summary { cursor: pointer; color: rgb(var(--ink) / .8); }
dl { max-width: 60rem; font-size: .875rem; }
dt { margin-top: .6rem; }
dd { margin: 0; }
footer { position: sticky; bottom: 0; background: rgb(var(--paper)); border-top: 1px solid rgb(var(--ink) / .14);
  font-size: .8125rem; }
footer > div { max-width: 84rem; margin: 0 auto; padding: .5rem 1.5rem .75rem; }
#detail { min-height: 1.5em; overflow-wrap: anywhere; color: rgb(var(--ink) / .75); }
#detail b { color: rgb(var(--ink)); font-weight: 600; }
.row { display: flex; flex-wrap: wrap; align-items: center; gap: .25rem 1rem; }
.row .slide { display: flex; flex: 1 1 16rem; align-items: center; gap: .75rem; min-width: 0; }
#step { flex: 1; min-width: 0; margin: 0; accent-color: rgb(var(--ink)); }
#where { min-width: 4.5em; }
label { white-space: nowrap; color: rgb(var(--ink) / .75); }
select { padding: .15rem .3rem; border: 1px solid rgb(var(--ink) / .25); border-radius: 4px; font: inherit;
  background: rgb(var(--paper)); color: rgb(var(--ink)); }
button { flex: none; width: 2rem; height: 2rem; padding: 0; border: 1px solid rgb(var(--ink) / .25);
  border-radius: 50%; background: none; color: inherit; cursor: pointer; }
button svg { display: block; margin: auto; fill: currentColor; }
button:hover, select:hover { border-color: rgb(var(--ink) / .6); }
@media (max-width: 40rem) {
  main { padding: 1.25rem 1rem; } footer > div { padding: .4rem 1rem .5rem; } h1 { font-size: 1.25rem; }
  #detail { min-height: 4.5em; } th, td { padding-right: .6rem; } table { font-size: .8125rem; }
}
</style>
</head>
<body>
<main>
<header><h1 id="title"></h1><p class="quiet" id="definition"></p></header>
<div class="key quiet" id="key"></div>
<div id="runs"></div>
<figure id="mixing" hidden><h3>How alike the tokens become</h3>
<figcaption>Mean cosine between the representations of two positions, before each layer and after the last; mean over
the steps of this sequence</figcaption><canvas role="img" aria-label="Mean pairwise cosine by layer"></canvas></figure>
<h3>The runs compared</h3>
<div class="wide"><table id="compared"></table></div>
<details><summary>Every layer and head</summary><div class="wide"><table id="each"></table></div></details>
<details><summary>What the numbers mean</summary><dl id="meanings"></dl></details>
</main>
<footer><div>
<div id="detail" aria-live="polite"></div>
<div class="row"><span class="slide"><button id="play" type="button" aria-label="Play"></button>
<input id="step" type="range" min="0" value="0" aria-label="Step"><span id="where"></span></span>
<label>Layer <select id="layer"></select></label><label>Head <select id="head"></select></label>
<label id="which">Sequence <select id="sequence"></select></label></div>
</div></footer>
<noscript>This page shows where attention goes, step by step, and needs JavaScript; it loads nothing.</noscript>
<script id="data" type="application/json">)html";

} // namespace detail
UNMASK_NAMESPACE_END
