// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class Set>
concept token_bits = std::convertible_to<Set, std::span<const std::uint32_t>>;
template <class Set>
concept token_test = std::predicate<Set, token_t>;
template <class Function>
using allowed_by = std::invoke_result_t<const Function&, const canvas&, row>;
template <class Function>
concept says_allowed = token_bits<allowed_by<Function>> || token_test<allowed_by<Function>>;

inline void keep_allowed(std::span<float> logits, std::span<const std::uint32_t> words) {
    constexpr std::size_t word_bits = 32;
    constexpr float forbidden = -std::numeric_limits<float>::infinity();
    for (std::size_t begin = 0; begin < logits.size(); begin += word_bits) {
        const std::size_t place = begin / word_bits;
        const std::uint32_t word = place < words.size() ? words[place] : 0;
        const auto part = logits.subspan(begin, std::min(word_bits, logits.size() - begin));
        if (word == 0) {
            std::fill(part.begin(), part.end(), forbidden);
        } else if (word != ~std::uint32_t{0}) {
            for (std::size_t bit = 0; bit < part.size(); ++bit) {
                part[bit] = (word >> bit & 1U) != 0 ? part[bit] : forbidden;
            }
        }
    }
}

} // namespace detail

/// Restricts the tokens that a position may get, for grammars, templates and choices. For a position that is to be
/// filled, `of(const canvas&, row)` returns either
///
///   1. a bitmask, anything that converts to std::span<const std::uint32_t>: token t is allowed if bit t % 32 of word
///      t / 32 is set, the format that grammar engines produce. Missing words allow nothing, but an empty span allows
///      everything;
///   2. a predicate of a token that is true if the token is allowed, called for every token of the vocabulary.
///
/// `of` is called once for each row, by several threads concurrently. It sees the canvas as the model saw it: positions
/// that the same step fills don't see each other's tokens, so a grammar that links positions also needs a selector that
/// fills them one at a time. A position without an allowed token is an error.
template <detail::says_allowed Function>
struct allowed_tokens {
    static constexpr auto kind = policy_kind::logits;
    Function of; ///< returns what a position allows

    /// Restricts tokens by `function`.
    constexpr explicit allowed_tokens(Function function) : of(std::move(function)) {}

    void operator()(const canvas& page, row where, std::span<float> logits) const {
        decltype(auto) allowed = of(page, where);
        if constexpr (detail::token_bits<detail::allowed_by<Function>>) {
            if (const std::span<const std::uint32_t> words = allowed; !words.empty()) {
                detail::keep_allowed(logits, words);
            }
        } else {
            for (std::size_t token = 0; token < logits.size(); ++token) {
                if (!allowed(static_cast<token_t>(token))) {
                    logits[token] = -std::numeric_limits<float>::infinity();
                }
            }
        }
    }
};

UNMASK_NAMESPACE_END
