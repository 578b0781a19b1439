// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <numbers>
#include <vector>

#include "batch.hpp"

namespace language_model {

/// A batch for block diffusion (BD3-LM, arXiv 2503.09573, §3.3): of targets [sequences, length], each sequence noised
/// and after it clean, [sequences, 2 · length]. Every block of `block` characters has a masking probability of its own,
/// spread evenly over sequences and blocks. There is no loss on the clean half; on the noised one it is that of
/// masked_batch, so that both are bits a character. The length is a multiple of the block.
inline training_batch masked_blocks(const std::vector<token_t>& targets, index_t sequences, index_t length,
                                    index_t block, token_t mask, std::uint32_t seed, index_t step) {
    const detail::batch_draws draws(seed, step);
    training_batch batch;
    for (index_t sequence = 0; sequence < sequences; ++sequence) {
        const auto begin = targets.begin() + sequence * length;
        for (int half = 0; half < 2; ++half) {
            batch.targets.insert(batch.targets.end(), begin, begin + length);
        }
    }
    batch.tokens = batch.targets;
    batch.weights.resize(batch.targets.size(), 0.0F);
    for (index_t sequence = 0; sequence < sequences; ++sequence) {
        for (index_t i = 0; i < length; ++i) {
            const double t = draws.share(static_cast<double>(sequence) / static_cast<double>(sequences) +
                                         static_cast<double>(i / block) * (std::numbers::phi - 1.0));
            if (draws.hides(sequence, i, t)) {
                const auto to = static_cast<std::size_t>(2 * sequence * length + i);
                batch.tokens[to] = mask;
                batch.weights[to] = static_cast<float>(1.0 / (t * static_cast<double>(sequences * length)));
            }
        }
    }
    return batch;
}

} // namespace language_model
