// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>

#include "terminal_view.hpp"

namespace examples {

/// What a terminal shows of a canvas: its sequences, an empty line between two, fresh what was just written. The text
/// of a token is text(token), in ASCII.
template <class Text>
std::vector<cell> cells_of(const unmask::canvas& page, std::span<const unmask::commitment> commitments,
                           const Text& text) {
    std::vector<std::vector<bool>> fresh;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        fresh.emplace_back(static_cast<std::size_t>(page.length(sequence)));
    }
    for (const unmask::commitment& each : commitments) {
        const auto [sequence, position] = each.where;
        fresh[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(position)] = true;
    }
    std::vector<cell> cells;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        if (sequence > 0) {
            cells.insert(cells.end(), 2, {"\n", look::written});
        }
        const auto states = page.states(sequence);
        const auto tokens = page.tokens(sequence);
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (states[i] == unmask::position_state::masked) {
                cells.push_back({"_", look::masked});
                continue;
            }
            const look appearance = states[i] == unmask::position_state::prompt    ? look::given
                                    : fresh[static_cast<std::size_t>(sequence)][i] ? look::fresh
                                                                                   : look::written;
            for (const char character : std::string(text(tokens[i]))) {
                cells.push_back({std::string(1, character), appearance});
            }
        }
    }
    return cells;
}

} // namespace examples
