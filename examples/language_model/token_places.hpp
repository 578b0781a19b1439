// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <vector>

#include <unmask/config.hpp>

namespace language_model {

using unmask::index_t;

/// Where the tokens of a sequence stand. To attention without an order of its own, a position is the rotary index and
/// nothing else: sink tokens lie before the text in memory whatever position they hold.
struct token_places {
    index_t sinks_before = 0; ///< this index of the text the sinks are inserted; from its length on: after the text
    index_t copies = 1;       ///< of the text, all at the same positions: 2 for [noised ‖ clean]

    /// The rotary index of every row: the sinks, then the text with its copies. The text begins at 1, or after the
    /// sinks if they come first, which then begin at 0; what comes after sinks is moved by as many.
    [[nodiscard]] std::vector<index_t> rotary_rows(index_t length, index_t sinks) const {
        const index_t text = length / copies;
        const index_t place = std::min(sinks_before, text);
        const index_t first = sinks > 0 && place == 0 ? 0 : 1;
        std::vector<index_t> rows;
        for (index_t sink = 0; sink < sinks; ++sink) {
            rows.push_back(first + place + sink);
        }
        for (index_t i = 0; i < length; ++i) {
            rows.push_back(first + i % text + (i % text >= place ? sinks : 0));
        }
        return rows;
    }
};

} // namespace language_model
