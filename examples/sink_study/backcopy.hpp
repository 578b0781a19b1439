// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <vector>

#include <unmask/random/philox.hpp>

#include "integers.hpp"

namespace sink_study {

using unmask::index_t;
using unmask::token_t;

/// The symbols of the back-copy task: 32 of content, the marker Q, the delimiter N. The mask comes after them.
inline constexpr token_t content_symbols = 32;
inline constexpr token_t copy_marker = 32;
inline constexpr token_t delimiter = 33;
inline constexpr token_t backcopy_vocabulary = 34;

namespace detail {

// Uniform numbers in (0, 1), one after the other, of one stream.
class uniform_stream {
public:
    uniform_stream(std::uint32_t seed, std::uint32_t purpose, std::uint64_t number)
        : generator_{{seed, purpose}}, number_(number) {}

    double next() {
        const auto words =
            generator_({draw_++, static_cast<std::uint32_t>(number_), static_cast<std::uint32_t>(number_ >> 32), 0});
        return unmask::uniform_open(words[0], words[1]);
    }
    index_t below(index_t end) { return static_cast<index_t>(next() * static_cast<double>(end)); }

    double normal() {
        const double radius = std::sqrt(-2.0 * std::log(next()));
        return radius * std::cos(2.0 * std::numbers::pi * next());
    }

    // Of shape < 1, by Marsaglia and Tsang, ACM Trans. Math. Softw. 26 (2000) 363.
    double gamma(double shape) {
        const double d = shape + 1.0 - 1.0 / 3.0;
        const double c = 1.0 / std::sqrt(9.0 * d);
        for (;;) {
            const double x = normal();
            const double v = std::pow(1.0 + c * x, 3.0);
            if (1.0 + c * x > 0.0 && std::log(next()) < 0.5 * x * x + d - d * v + d * std::log(v)) {
                return d * v * std::pow(next(), 1.0 / shape);
            }
        }
    }

private:
    unmask::philox generator_;
    std::uint64_t number_;
    std::uint32_t draw_ = 0;
};

} // namespace detail

/// The Markov chain of the content symbols, the same one for all seeds: each row of the transition matrix is a draw of
/// the Dirichlet distribution with parameter 0.15, so that few symbols are likely to follow a symbol.
class backcopy_chain {
public:
    backcopy_chain() {
        for (index_t from = 0; from < content_symbols; ++from) {
            detail::uniform_stream draws(0, 0x63686169U, static_cast<std::uint64_t>(from));
            auto& row = cumulative_[static_cast<std::size_t>(from)];
            double sum = 0.0;
            for (double& each : row) {
                sum += draws.gamma(0.15);
                each = sum;
            }
            for (double& each : row) {
                each /= sum;
            }
        }
    }

    /// What follows a symbol, by a number of (0, 1).
    [[nodiscard]] token_t next(token_t from, double uniform) const {
        const auto& row = cumulative_[static_cast<std::size_t>(from)];
        std::size_t to = 0;
        while (to + 1 < row.size() && row[to] < uniform) {
            ++to;
        }
        return static_cast<token_t>(to);
    }

    [[nodiscard]] double probability(token_t from, token_t to) const {
        const auto& row = cumulative_[static_cast<std::size_t>(from)];
        const auto i = static_cast<std::size_t>(to);
        return row[i] - (i == 0 ? 0.0 : row[i - 1]);
    }

private:
    std::array<std::array<double, content_symbols>, content_symbols> cumulative_{};
};

/// Sequence `number` of a seed, [length]: a pure function. The chain's symbols; at one or two uniform places the
/// delimiter, which the chain passes over; and behind a content symbol, with probability 0.15, the marker and that
/// symbol again. There is no token that every sequence begins with. What is to be fetched depends on the query: only
/// the position behind a marker has something to fetch, the symbol two before it, and all others have nothing that the
/// tokens beside them do not say.
inline std::vector<token_t> make_backcopy(index_t length, std::uint32_t seed, std::uint64_t number) {
    static const backcopy_chain chain;
    detail::uniform_stream draws(seed, 0x6261636bU, number);
    const index_t first = draws.below(length);
    const index_t second = draws.next() < 0.5 ? first : draws.below(length); // the same one: a single delimiter
    const auto delimits = [&](index_t i) { return i == first || i == second; };
    auto state = static_cast<token_t>(draws.below(content_symbols));
    std::vector<token_t> tokens;
    while (std::ssize(tokens) < length) {
        const index_t i = std::ssize(tokens);
        const double branch = draws.next();
        if (delimits(i)) {
            tokens.push_back(delimiter);
        } else if (i > 0 && tokens.back() < content_symbols && i + 1 < length && !delimits(i + 1) && branch < 0.15) {
            const token_t copied = tokens.back();
            tokens.push_back(copy_marker);
            tokens.push_back(copied);
        } else {
            state = chain.next(state, draws.next());
            tokens.push_back(state);
        }
    }
    return tokens;
}

/// Sequences first, first + 1, … of a seed, [count, length].
inline std::vector<token_t> backcopy_tokens(index_t count, index_t length, std::uint32_t seed, std::uint64_t first) {
    std::vector<token_t> tokens;
    for (index_t i = 0; i < count; ++i) {
        const auto each = make_backcopy(length, seed, first + static_cast<std::uint64_t>(i));
        tokens.insert(tokens.end(), each.begin(), each.end());
    }
    return tokens;
}

} // namespace sink_study
