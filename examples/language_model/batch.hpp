// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <unmask/random/philox.hpp>

namespace language_model {

using unmask::index_t;
using unmask::token_t;

/// Sequences with some tokens masked, and what they were. Everything is [sequences, length].
struct training_batch {
    std::vector<token_t> tokens;  ///< what the model sees
    std::vector<token_t> targets; ///< what it should say
    std::vector<float> weights;   ///< 1 / (t · sequences · length) where masked, otherwise 0
};

namespace detail {
// The random numbers of one step's batch.
class batch_draws {
public:
    batch_draws(std::uint32_t seed, index_t step)
        : generator_{{seed, 0x62617463U}}, low_(static_cast<std::uint32_t>(step)),
          high_(static_cast<std::uint32_t>(step >> 32)) {
        const auto words = generator_({0, 0xffffffffU, low_, high_});
        start_ = unmask::uniform_open(words[0], words[1]);
    }

    /// The share of tokens to mask, in [0.001, 1): the same for shifts that are whole numbers apart.
    [[nodiscard]] double share(double shift) const {
        const double shifted = start_ + shift;
        return 1e-3 + (1.0 - 1e-3) * (shifted - std::floor(shifted));
    }

    /// Uniform in (0, 1).
    [[nodiscard]] double place(index_t sequence) const {
        const auto words = draw(sequence, 0);
        return unmask::uniform_open(words[0], words[1]);
    }

    /// With probability t.
    [[nodiscard]] bool hides(index_t sequence, index_t position, double t) const {
        const auto word = draw(sequence, 1 + position / 4)[static_cast<std::size_t>(position % 4)];
        return static_cast<double>(word) * 0x1p-32 < t;
    }

private:
    [[nodiscard]] std::array<std::uint32_t, 4> draw(index_t sequence, index_t counter) const {
        return generator_({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(sequence), low_, high_});
    }

    unmask::philox generator_;
    std::uint32_t low_;
    std::uint32_t high_;
    double start_ = 0.0;
};
} // namespace detail

/// Masks some tokens of the targets [sequences, length]: each of sequence i with probability
/// tᵢ = 0.001 + 0.999 · frac(u + i / sequences), u uniform: spread evenly over the batch, which makes the loss less
/// noisy than independent draws (Kingma et al., arXiv 2107.00630, appendix I.1).
inline training_batch masked_batch(std::vector<token_t> targets, index_t sequences, index_t length, token_t mask,
                                   std::uint32_t seed, index_t step) {
    const detail::batch_draws draws(seed, step);
    training_batch batch{.tokens = targets, .targets = std::move(targets), .weights = {}};
    const std::size_t size = batch.targets.size();
    batch.weights.resize(size, 0.0F);
    for (index_t sequence = 0; sequence < sequences; ++sequence) {
        const double t = draws.share(static_cast<double>(sequence) / static_cast<double>(sequences));
        const auto weight = static_cast<float>(1.0 / (t * static_cast<double>(size)));
        for (index_t i = 0; i < length; ++i) {
            if (draws.hides(sequence, i, t)) {
                batch.tokens[static_cast<std::size_t>(sequence * length + i)] = mask;
                batch.weights[static_cast<std::size_t>(sequence * length + i)] = weight;
            }
        }
    }
    return batch;
}

/// Windows of the text at random places, [sequences, length].
inline std::vector<token_t> random_windows(std::span<const token_t> text, index_t sequences, index_t length,
                                           std::uint32_t seed, index_t step) {
    const detail::batch_draws draws(seed, step);
    const double windows = static_cast<double>(static_cast<index_t>(text.size()) - length + 1);
    std::vector<token_t> tokens;
    tokens.reserve(static_cast<std::size_t>(sequences * length));
    for (index_t sequence = 0; sequence < sequences; ++sequence) {
        const auto first = static_cast<std::size_t>(draws.place(sequence) * windows);
        const auto window = text.subspan(first, static_cast<std::size_t>(length));
        tokens.insert(tokens.end(), window.begin(), window.end());
    }
    return tokens;
}

/// The batch of one step: windows of the text at random places, masked.
///
/// A pure function of its arguments: that is what makes training resumable.
inline training_batch make_batch(std::span<const token_t> text, index_t sequences, index_t length, token_t mask,
                                 std::uint32_t seed, index_t step) {
    return masked_batch(random_windows(text, sequences, length, seed, step), sequences, length, mask, seed, step);
}

} // namespace language_model
