// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>

UNMASK_NAMESPACE_BEGIN

/// The tokens of a model, which has logits for tokens in [0, size). The mask token may be one of these, and is then
/// never drawn, or lie above them, and then has no logit at all.
struct vocabulary {
    token_t size = 0;             ///< number of logits in a row
    token_t mask = 0;             ///< the token that the model reads at masked positions
    std::optional<token_t> end{}; ///< the end-of-text token, if the model has one

    /// True for a token that a filled position can hold: one that has a logit and is not the mask.
    [[nodiscard]] constexpr bool holds(token_t token) const { return token >= 0 && token < size && token != mask; }

    friend constexpr bool operator==(const vocabulary&, const vocabulary&) = default;
};

namespace detail {

inline void check_vocabulary(const char* function, const vocabulary& tokens) {
    const auto expects = [&](bool condition, const char* argument, token_t was, const char* expected) {
        if (!condition) {
            throw invalid_argument(function, argument, std::to_string(was), expected);
        }
    };
    expects(tokens.size >= 1, "vocabulary.size", tokens.size, "at least 1");
    expects(tokens.mask >= 0, "vocabulary.mask", tokens.mask, "at least 0");
    expects(tokens.size > 1 || tokens.mask != 0, "vocabulary.size", tokens.size, "a token besides the mask");
    expects(!tokens.end || tokens.holds(*tokens.end), "vocabulary.end", tokens.end.value_or(0),
            "a token of [0, size) other than the mask");
}

// Throws invalid_argument unless a canvas was made for a model's vocabulary.
inline void check_same_vocabulary(const char* function, const vocabulary& of_model, const vocabulary& of_canvas) {
    check_vocabulary(function, of_model);
    if (of_model != of_canvas) {
        const auto text = [](const vocabulary& v) {
            return "{size " + std::to_string(v.size) + ", mask " + std::to_string(v.mask) + ", end " +
                   (v.end ? std::to_string(*v.end) : "none") + "}";
        };
        throw invalid_argument(function, "canvas.vocabulary()", text(of_canvas), "the model's, " + text(of_model));
    }
}

} // namespace detail

UNMASK_NAMESPACE_END
