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

#include "canvas_cells.hpp"
#include "text_codec.hpp"

// Between text and the sampler's canvas.

namespace language_model {

using namespace examples;

/// In a template: a token to be filled in.
inline constexpr char blank_character = '_';

/// The tokens of "In the ____ God": every underscore becomes unmask::blank. Throws std::invalid_argument at a character
/// that is neither an underscore nor in the alphabet, with what the template is called. A blank of byte pairs may be a
/// word, and brings the space before it: that of the template is left out.
inline std::vector<token_t> parse_template(const text_codec& codec, std::string_view text,
                                           const std::string& name = "the template") {
    std::vector<token_t> tokens;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(blank_character, begin), text.size());
        std::string_view part = text.substr(begin, end - begin);
        if (end < text.size() && codec.has_byte_pairs() && part.ends_with(' ')) {
            part.remove_suffix(1);
        }
        const std::vector<token_t> given = codec.encode(part, name);
        tokens.insert(tokens.end(), given.begin(), given.end());
        begin = std::min(text.find_first_not_of(blank_character, end), text.size());
        tokens.insert(tokens.end(), begin - end, unmask::blank);
    }
    return tokens;
}

/// A sequence as text; what is still masked is an underscore.
inline std::string text_of(const unmask::canvas& page, index_t sequence, const text_codec& codec) {
    return codec.decode(page.tokens(sequence), blank_character);
}

/// What a terminal shows of a canvas.
inline std::vector<cell> cells_of(const unmask::canvas& page, std::span<const unmask::commitment> commitments,
                                  const text_codec& codec) {
    return examples::cells_of(page, commitments, [&](token_t token) { return codec.decode({&token, 1}, ' '); });
}

} // namespace language_model
