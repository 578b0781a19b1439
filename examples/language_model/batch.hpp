// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <unmask/random/philox.hpp>

namespace language_model {

using unmask::index_t;
using unmask::token_t;

/// Sequences with some characters masked, and what they were. Everything is [sequences, length].
struct training_batch {
    std::vector<token_t> tokens;  ///< what the model sees
    std::vector<token_t> targets; ///< what it should say
    std::vector<float> weights;   ///< 1 / (t · sequences · length) where masked, otherwise 0
};

/// The batch of one step: windows of the text at random places, each character of window i masked with probability
/// tᵢ = 0.001 + 0.999 · frac(u + i / sequences), u uniform: spread evenly over the batch, which makes the loss less
/// noisy than independent draws (Kingma et al., arXiv 2107.00630, appendix I.1).
///
/// A pure function of its arguments: that is what makes training resumable.
inline training_batch make_batch(std::span<const token_t> text, index_t sequences, index_t length, token_t mask,
                                 std::uint32_t seed, index_t step) {
    const unmask::philox generator{{seed, 0x62617463U}};
    const auto low_step = static_cast<std::uint32_t>(step);
    const auto high_step = static_cast<std::uint32_t>(step >> 32);
    const auto words = generator({0, 0xffffffffU, low_step, high_step});
    const double start = unmask::uniform_open(words[0], words[1]);

    training_batch batch;
    const auto size = static_cast<std::size_t>(sequences * length);
    batch.tokens.resize(size);
    batch.targets.resize(size);
    batch.weights.resize(size);
    for (index_t sequence = 0; sequence < sequences; ++sequence) {
        const double shifted = start + static_cast<double>(sequence) / static_cast<double>(sequences);
        const double t = 1e-3 + (1.0 - 1e-3) * (shifted - std::floor(shifted));
        const auto weight = static_cast<float>(1.0 / (t * static_cast<double>(size)));
        const auto draw = [&](index_t counter) {
            return generator(
                {static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(sequence), low_step, high_step});
        };
        const auto place = draw(0);
        const double windows = static_cast<double>(static_cast<index_t>(text.size()) - length + 1);
        const auto first = static_cast<std::size_t>(unmask::uniform_open(place[0], place[1]) * windows);
        for (index_t i = 0; i < length; ++i) {
            const auto word = draw(1 + i / 4)[static_cast<std::size_t>(i % 4)];
            const bool masked = static_cast<double>(word) * 0x1p-32 < t;
            const auto to = static_cast<std::size_t>(sequence * length + i);
            batch.targets[to] = text[first + static_cast<std::size_t>(i)];
            batch.tokens[to] = masked ? mask : batch.targets[to];
            batch.weights[to] = masked ? weight : 0.0F;
        }
    }
    return batch;
}

} // namespace language_model
