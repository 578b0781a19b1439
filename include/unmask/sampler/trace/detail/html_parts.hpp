// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

// The parts that the pages of write_html and write_sink_html have in common.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Up to the title.
inline constexpr const char* html_begin = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>)html";

// From the end of the data, which are a script too, to the page's own script. `timer` is 0 while nothing is played.
inline constexpr const char* html_script_begin = R"html(</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const icons = ["M4 2 L13 8 L4 14 Z", "M4 2 H7 V14 H4 Z M9 2 H12 V14 H9 Z"];
let timer = 0;
function icon() {
  const shape = icons[timer ? 1 : 0];
  at("play").innerHTML = '<svg width="16" height="16" viewBox="0 0 16 16"><path d="' + shape + '"/></svg>';
  at("play").setAttribute("aria-label", timer ? "Pause" : "Play");
}
function pause() { clearInterval(timer); timer = 0; icon(); }
)html";

// From the end of the script.
inline constexpr const char* html_end = R"html(</script>
</body>
</html>
)html";

} // namespace detail
UNMASK_NAMESPACE_END
