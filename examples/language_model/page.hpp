// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/observer.hpp>

#include "terminal_view.hpp"
#include "tokenizer.hpp"

// Between text and the sampler's canvas.

namespace language_model {

/// In a template: a character to be filled in.
inline constexpr char blank_character = '_';

/// The tokens of "In the ____ God": every underscore becomes unmask::blank. Throws std::invalid_argument at a character
/// that is neither an underscore nor in the alphabet, with what the template is called.
inline std::vector<token_t> parse_template(const tokenizer& characters, std::string_view text,
                                           const std::string& name = "the template") {
    std::vector<token_t> tokens;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(blank_character, begin), text.size());
        const std::vector<token_t> given = characters.encode(text.substr(begin, end - begin), name);
        tokens.insert(tokens.end(), given.begin(), given.end());
        begin = std::min(text.find_first_not_of(blank_character, end), text.size());
        tokens.insert(tokens.end(), begin - end, unmask::blank);
    }
    return tokens;
}

/// A sequence as text; what is still masked is an underscore.
inline std::string text_of(const unmask::canvas& page, index_t sequence, const tokenizer& characters) {
    return characters.decode(page.tokens(sequence), blank_character);
}

/// What a terminal shows of a canvas: its sequences, an empty line between two, fresh what was just written.
inline std::vector<cell> cells_of(const unmask::canvas& page, std::span<const unmask::commitment> commitments,
                                  const tokenizer& characters) {
    std::vector<cell> cells;
    std::vector<std::size_t> begins;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        if (sequence > 0) {
            cells.insert(cells.end(), 2, {"\n", look::written});
        }
        begins.push_back(cells.size());
        const auto states = page.states(sequence);
        const std::string text = text_of(page, sequence, characters);
        for (std::size_t i = 0; i < text.size(); ++i) {
            cells.push_back({std::string(1, text[i]), states[i] == unmask::position_state::prompt   ? look::given
                                                      : states[i] == unmask::position_state::masked ? look::masked
                                                                                                    : look::written});
        }
    }
    for (const unmask::commitment& fresh : commitments) {
        const auto [sequence, position] = fresh.where;
        if (page.state(sequence, position) == unmask::position_state::masked) { // again
            continue;
        }
        cells[begins[static_cast<std::size_t>(sequence)] + static_cast<std::size_t>(position)].appearance = look::fresh;
    }
    return cells;
}

} // namespace language_model
