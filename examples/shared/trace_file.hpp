// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "output_file.hpp"

namespace examples {

/// Writes a trace as the file's name says: a page for .html, lines of JSON otherwise. `before` is the canvas before the
/// run, text(token) what a token stands for. Throws std::runtime_error if it can't be written.
template <class Text>
void write_trace_file(const std::string& path, const unmask::canvas& before, const unmask::trace& trace,
                      std::uint64_t seed, const Text& text) {
    write_file(path, [&](std::ostream& file) {
        if (path.ends_with(".html")) {
            unmask::write_html(file, before, trace, text);
            return;
        }
        std::vector<unmask::index_t> lengths;
        for (unmask::index_t sequence = 0; sequence < before.sequences(); ++sequence) {
            lengths.push_back(before.length(sequence));
        }
        unmask::write_trace(file, {.seed = seed, .lengths = lengths, .what = trace});
    });
}

} // namespace examples
