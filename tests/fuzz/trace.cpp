// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A trace from anywhere: refused by an invalid_argument; or read, written as it was read, and shown where it fits.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <sstream>
#include <string>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/trace/html.hpp>
#include <unmask/sampler/trace/json.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/terminal.hpp>

namespace {

std::string written(const unmask::trace_file& file) {
    std::ostringstream out;
    unmask::write_trace(out, file);
    return out.str();
}

void show(const unmask::trace_file& file) {
    constexpr unmask::index_t most_positions = 1 << 12;
    unmask::canvas before(unmask::vocabulary{100, 100, 2});
    unmask::index_t positions = 0;
    for (const unmask::index_t length : file.lengths) {
        positions += length;
        if (positions > most_positions) {
            return;
        }
        before.add({}, length);
    }
    const auto text = [](unmask::token_t token) { return std::string(1, static_cast<char>(token)); };
    unmask::canvas page = before;
    unmask::replay(file.what, page);
    const unmask::index_t last = file.what.entries.empty() ? 0 : file.what.entries.back().call;
    (void)unmask::to_terminal(page, file.what, last, text);
    std::ostringstream out;
    unmask::write_html(out, before, file.what, text);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
    unmask::trace_file file;
    try {
        file = unmask::read_trace(in);
    } catch (const unmask::invalid_argument&) {
        return 0;
    }
    const std::string text = written(file);
    std::istringstream again(text);
    if (written(unmask::read_trace(again)) != text) {
        std::abort();
    }
    try {
        show(file);
    } catch (const unmask::invalid_argument&) { // of another canvas
    }
    return 0;
}
