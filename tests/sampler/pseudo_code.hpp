// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// What samplers written as their papers have them, for one sequence and in double, share: a row of the model, a draw,
/// the random numbers.

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <unmask/random/philox.hpp>

#include "models.hpp"
#include "scalar_sampler.hpp"

namespace sampler_test {

/// softmax(logits / temperature) of one row, the mask at -infinity.
template <class Logits>
scalar::distribution row_of(const Logits& logits, const vocabulary& tokens, const std::vector<token_t>& x,
                            std::size_t position, double temperature = 1) {
    std::vector<double> row;
    for (token_t v = 0; v < tokens.size; ++v) {
        row.push_back(v == tokens.mask ? -INFINITY : logits(x, static_cast<index_t>(position), v));
    }
    return scalar::softmax(row, temperature);
}

/// The uniform numbers of a position at a step of sequence 0: for the token, and for the order.
struct numbers {
    double token;
    double order;
    std::array<std::uint32_t, 4> words;

    numbers(std::uint64_t seed, std::size_t position, std::uint32_t visit)
        : words(philox{{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}}(
              {0, 0, static_cast<std::uint32_t>(position), visit})) {
        token = uniform_open(words[0], words[1]);
        order = uniform_open(words[2], words[3]);
    }
};

/// The token at which the cumulative sum passes the uniform number.
inline token_t draw_from(const scalar::distribution& p, double uniform) {
    double sum = 0;
    token_t token = -1;
    for (std::size_t v = 0; v < p.size() && sum <= uniform; ++v) {
        sum += p[v];
        token = p[v] > 0 ? static_cast<token_t>(v) : token;
    }
    return token;
}

inline token_t argmax(const scalar::distribution& p) {
    return static_cast<token_t>(scalar::by_probability(p)[0]);
}

inline double entry(const scalar::distribution& p, token_t token) {
    return p[static_cast<std::size_t>(token)];
}

} // namespace sampler_test
