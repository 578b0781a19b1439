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

#include "batch.hpp"
#include "cpu_layers.hpp"
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
    std::span<const index_t> characters; ///< of each token of the text; empty: one each
    index_t block = 0; ///< if more: the model is one of [noised ‖ clean] windows in blocks of so many (masked_blocks)
};

/// The bound of masked diffusion on −log₂ p(text): the mean over n uniform in 1 … length and over n masked positions of
/// the mean cross-entropy there. Counting n exactly is less noisy than masking with probability t and weighting by 1 /
/// t (Nie et al., arXiv 2502.09992, eq. 14). The n of a window are spread evenly. The same seed gives every model the
/// same masks, so that two bounds can be compared more closely than their standard errors say.
///
/// In blocks it is the mean over the blocks of the same bound of each, given the clean blocks before (BD3-LM, arXiv
/// 2503.09573).
class bound_windows {
public:
    /// Throws std::invalid_argument if the text is too short, or the length no multiple of the block.
    bound_windows(std::span<const token_t> text, token_t mask, const bound_settings& settings)
        : text_(text), mask_(mask), settings_(settings), available_(std::ssize(text) / settings.length),
          count_(settings.windows == 0 ? available_ : std::min(settings.windows, available_)) {
        if (count_ < 1) {
            throw std::invalid_argument("held_out_bound: the text is shorter than one window");
        }
        if (settings.length % unit() != 0) {
            throw std::invalid_argument("held_out_bound: the length is no multiple of the block");
        }
    }

    [[nodiscard]] index_t count() const { return count_; }
    /// Of a sequence of a batch.
    [[nodiscard]] index_t rows() const { return settings_.block > 0 ? 2 * settings_.length : settings_.length; }

    /// A window, masked in all ways: one sequence for each.
    [[nodiscard]] training_batch batch(index_t window) const {
        const unmask::philox generator{{settings_.seed, 0x626f756eU}};
        const index_t length = settings_.length;
        const index_t first = first_of(window);
        const auto size = static_cast<std::size_t>(settings_.draws * rows());
        training_batch masked{.tokens = std::vector<token_t>(size),
                              .targets = std::vector<token_t>(size),
                              .weights = std::vector<float>(size, 0.0F)};
        std::vector<std::size_t> order(static_cast<std::size_t>(unit()));
        const double start = static_cast<double>(window) * (std::numbers::phi - 1.0);
        for (index_t draw = 0; draw < settings_.draws; ++draw) {
            const auto word = [&](index_t i) {
                return generator({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(draw),
                                  static_cast<std::uint32_t>(first), 0})[0];
            };
            const auto begin = static_cast<std::size_t>(draw * rows());
            for (std::size_t at = begin; at < begin + static_cast<std::size_t>(rows());
                 at += static_cast<std::size_t>(length)) {
                std::copy_n(text_.begin() + first, length, masked.targets.begin() + static_cast<std::ptrdiff_t>(at));
                std::copy_n(text_.begin() + first, length, masked.tokens.begin() + static_cast<std::ptrdiff_t>(at));
            }
            for (index_t block = 0; block < length / unit(); ++block) {
                const double t = start + static_cast<double>(draw) / static_cast<double>(settings_.draws) +
                                 static_cast<double>(block) * (std::numbers::phi - 1.0);
                const auto count = 1 + static_cast<std::size_t>((t - std::floor(t)) * static_cast<double>(unit()));
                const std::size_t block_begin = begin + static_cast<std::size_t>(block * unit());
                const float weight =
                    static_cast<float>(unit()) / static_cast<float>(length) / static_cast<float>(count);
                std::iota(order.begin(), order.end(), std::size_t{0});
                for (std::size_t i = 0; i < count; ++i) { // the first steps of a shuffle
                    const std::size_t other = i + word(block * unit() + static_cast<index_t>(i)) % (order.size() - i);
                    std::swap(order[i], order[other]);
                    masked.tokens[block_begin + order[i]] = mask_;
                    masked.weights[block_begin + order[i]] = weight;
                }
            }
        }
        return masked;
    }

    /// What the losses of all windows' batches say.
    [[nodiscard]] bound of(const std::vector<double>& losses) const {
        std::vector<double> bits; // of a token, and how many characters it has, as means of a window
        std::vector<double> lengths;
        for (std::size_t i = 0; i < losses.size(); ++i) {
            bits.push_back(losses[i] / (std::numbers::ln2 * static_cast<double>(settings_.draws)));
            lengths.push_back(characters_of_token(static_cast<index_t>(i)));
        }
        const auto n = static_cast<double>(count_);
        const double length = std::accumulate(lengths.begin(), lengths.end(), 0.0) / n;
        const double mean = std::accumulate(bits.begin(), bits.end(), 0.0) / n / length;
        double squares = 0.0;
        for (std::size_t i = 0; i < bits.size(); ++i) {
            const double difference = (bits[i] - mean * lengths[i]) / length;
            squares += difference * difference;
        }
        return {mean, count_ > 1 ? std::sqrt(squares / (n - 1.0) / n) : 0.0, count_};
    }

private:
    [[nodiscard]] index_t first_of(index_t window) const { return window * available_ / count_ * settings_.length; }

    [[nodiscard]] double characters_of_token(index_t window) const {
        if (settings_.characters.empty()) {
            return 1.0;
        }
        const auto some = settings_.characters.subspan(static_cast<std::size_t>(first_of(window)),
                                                       static_cast<std::size_t>(settings_.length));
        return static_cast<double>(std::accumulate(some.begin(), some.end(), index_t{0})) /
               static_cast<double>(settings_.length);
    }

    [[nodiscard]] index_t unit() const { return settings_.block > 0 ? settings_.block : settings_.length; }

    std::span<const token_t> text_;
    token_t mask_;
    bound_settings settings_;
    index_t available_;
    index_t count_;
};

/// The bound of a model on the CPU.
template <class Model>
bound held_out_bound(const unmask::cpu_executor& exec, const Model& model, std::vector<float>& weights,
                     std::span<const token_t> text, token_t mask, const bound_settings& settings) {
    const bound_windows windows(text, mask, settings);
    use_one_blas_thread();
    std::vector<workspace> workspaces;
    for (int worker = 0; worker < exec.workers(); ++worker) {
        workspaces.push_back(model.make_workspace(settings.draws, windows.rows()));
    }
    const auto bound_weights = model.bound(weights.data());
    std::vector<double> losses(static_cast<std::size_t>(windows.count()));
    exec.parallel_for(windows.count(), [&](index_t window, int worker) {
        const training_batch batch = windows.batch(window);
        workspace& work = workspaces[static_cast<std::size_t>(worker)];
        model.forward(cpu_layers{{1}}, bound_weights, batch.tokens, work);
        losses[static_cast<std::size_t>(window)] = weighted_cross_entropy(work.logits, batch.targets, batch.weights);
    });
    return windows.of(losses);
}

} // namespace language_model
