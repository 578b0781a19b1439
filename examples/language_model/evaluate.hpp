// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <span>
#include <stdexcept>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/random/philox.hpp>

#include "loss.hpp"
#include "workspace.hpp"

namespace language_model {

/// An upper bound on how many bits a model needs for a character, and how sure we are of it.
struct bound {
    double bits = 0.0;
    double standard_error = 0.0;
    index_t windows = 0;
};

/// What to average over: windows of the text side by side, each masked `draws` times.
struct bound_settings {
    index_t length = 256;
    index_t windows = 0; ///< how many, evenly spread; 0 means all
    index_t draws = 8;
    std::uint32_t seed = 1;
    index_t block = 0; ///< if more: the model is one of [noised ‖ clean] windows in blocks of so many (masked_blocks)
};

/// The bound of masked diffusion on −log₂ p(text): the mean over n uniform in 1 … length and over n masked positions of
/// the mean cross-entropy there. Counting n exactly is less noisy than masking with probability t and weighting by 1 /
/// t (Nie et al., arXiv 2502.09992, eq. 14). The n of a window are spread evenly. The same seed gives every model the
/// same masks, so that two bounds can be compared more closely than their standard errors say.
///
/// In blocks it is the mean over the blocks of the same bound of each, given the clean blocks before (BD3-LM, arXiv
/// 2503.09573).
template <class Model>
bound held_out_bound(const unmask::cpu_executor& exec, const Model& model, std::vector<float>& weights,
                     std::span<const token_t> text, token_t mask, const bound_settings& settings) {
    const index_t length = settings.length;
    const index_t available = static_cast<index_t>(text.size()) / length;
    const index_t windows = settings.windows == 0 ? available : std::min(settings.windows, available);
    if (windows < 1) {
        throw std::invalid_argument("held_out_bound: the text is shorter than one window");
    }
    const index_t unit = settings.block > 0 ? settings.block : length;
    const index_t rows = settings.block > 0 ? 2 * length : length;
    if (length % unit != 0) {
        throw std::invalid_argument("held_out_bound: the length is no multiple of the block");
    }
    use_one_blas_thread();
    std::vector<workspace> workspaces;
    for (int worker = 0; worker < exec.workers(); ++worker) {
        workspaces.push_back(model.make_workspace(settings.draws, rows));
    }
    const auto bound_weights = model.bound(weights.data());
    const unmask::philox generator{{settings.seed, 0x626f756eU}};
    std::vector<double> bits(static_cast<std::size_t>(windows));

    exec.parallel_for(windows, [&](index_t window, int worker) {
        const index_t first = window * available / windows * length;
        const auto size = static_cast<std::size_t>(settings.draws * rows);
        std::vector<token_t> tokens(size);
        std::vector<token_t> targets(size);
        std::vector<float> of_position(size, 0.0F);
        std::vector<std::size_t> order(static_cast<std::size_t>(unit));
        const double start = static_cast<double>(window) * (std::numbers::phi - 1.0);
        for (index_t draw = 0; draw < settings.draws; ++draw) {
            const auto word = [&](index_t i) {
                return generator({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(draw),
                                  static_cast<std::uint32_t>(first), 0})[0];
            };
            const auto begin = static_cast<std::size_t>(draw * rows);
            for (std::size_t at = begin; at < begin + static_cast<std::size_t>(rows);
                 at += static_cast<std::size_t>(length)) {
                std::copy_n(text.begin() + first, length, targets.begin() + static_cast<std::ptrdiff_t>(at));
                std::copy_n(text.begin() + first, length, tokens.begin() + static_cast<std::ptrdiff_t>(at));
            }
            for (index_t block = 0; block < length / unit; ++block) {
                const double t = start + static_cast<double>(draw) / static_cast<double>(settings.draws) +
                                 static_cast<double>(block) * (std::numbers::phi - 1.0);
                const auto count = 1 + static_cast<std::size_t>((t - std::floor(t)) * static_cast<double>(unit));
                const std::size_t block_begin = begin + static_cast<std::size_t>(block * unit);
                const float weight = static_cast<float>(unit) / static_cast<float>(length) / static_cast<float>(count);
                std::iota(order.begin(), order.end(), std::size_t{0});
                for (std::size_t i = 0; i < count; ++i) { // the first steps of a shuffle
                    const std::size_t other = i + word(block * unit + static_cast<index_t>(i)) % (order.size() - i);
                    std::swap(order[i], order[other]);
                    tokens[block_begin + order[i]] = mask;
                    of_position[block_begin + order[i]] = weight;
                }
            }
        }
        workspace& work = workspaces[static_cast<std::size_t>(worker)];
        model.forward(unmask::cpu_executor{1}, bound_weights, tokens, work);
        bits[static_cast<std::size_t>(window)] = weighted_cross_entropy(work.logits, targets, of_position) /
                                                 (std::numbers::ln2 * static_cast<double>(settings.draws));
    });

    const auto n = static_cast<double>(windows);
    const double mean = std::accumulate(bits.begin(), bits.end(), 0.0) / n;
    double squares = 0.0;
    for (const double each : bits) {
        squares += (each - mean) * (each - mean);
    }
    return {mean, windows > 1 ? std::sqrt(squares / (n - 1.0) / n) : 0.0, windows};
}

} // namespace language_model
