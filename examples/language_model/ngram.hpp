// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include <unmask/config.hpp>

namespace language_model {

using unmask::index_t;
using unmask::token_t;

/// What a diffusion model has to beat: predicting a token from the few before it, by counting. Holds the models of all
/// orders up to a largest one; order n looks at n tokens, the predicted one included, so a trigram model is order 3.
///
/// Smoothed as Witten and Bell do (IEEE Transactions on Information Theory 37, 1991), interpolated down to a uniform
/// distribution: a context seen c times, with d different tokens after it, gives the shorter context d / (c + d) of the
/// probability. A distribution of every order sums to 1, whatever the context.
class ngram_models {
public:
    /// Counts a text. Tokens are [0, vocabulary). Throws std::invalid_argument if vocabulary^largest_order exceeds
    /// 2^63.
    ngram_models(std::span<const token_t> text, token_t vocabulary, int largest_order)
        : vocabulary_(vocabulary), orders_(static_cast<std::size_t>(std::max(largest_order, 0))) {
        if (vocabulary < 1 || largest_order < 1 ||
            static_cast<double>(largest_order) * std::log2(static_cast<double>(vocabulary)) > 63.0) {
            throw std::invalid_argument("ngram_models: the order is below 1, or too large for the vocabulary");
        }
        for (std::size_t i = 0; i < text.size(); ++i) {
            for (std::size_t n = 0; n < std::min(orders_.size(), i + 1); ++n) {
                const std::uint64_t context = key(text.subspan(i - n, n));
                const std::uint32_t times = ++orders_[n].grams[key(text.subspan(i - n, n + 1))];
                followers& after = orders_[n].contexts[context];
                ++after.count;
                after.different += times == 1 ? 1 : 0;
            }
        }
    }

    [[nodiscard]] int largest_order() const { return static_cast<int>(orders_.size()); }

    /// The probability that a token follows a context, of which only the last order − 1 tokens matter.
    [[nodiscard]] double probability(int order, std::span<const token_t> context, token_t token) const {
        double p = 1.0 / static_cast<double>(vocabulary_);
        for (std::size_t n = 0; n < static_cast<std::size_t>(order) && n <= context.size(); ++n) {
            const std::uint64_t before = key(context.last(n));
            const auto after = orders_[n].contexts.find(before);
            if (after == orders_[n].contexts.end()) {
                break; // then longer contexts were never seen either
            }
            const auto found = orders_[n].grams.find(append(before, token));
            const double times = found == orders_[n].grams.end() ? 0.0 : static_cast<double>(found->second);
            const auto different = static_cast<double>(after->second.different);
            p = (times + different * p) / (static_cast<double>(after->second.count) + different);
        }
        return p;
    }

    /// The mean of −log₂ of the probability of each token of a text, given all before it.
    [[nodiscard]] double bits_per_token(int order, std::span<const token_t> text) const {
        double bits = 0.0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            bits -= std::log2(probability(order, text.first(i), text[i]));
        }
        return bits / static_cast<double>(text.size());
    }

private:
    struct followers {
        std::uint32_t count = 0;
        std::uint32_t different = 0;
    };
    struct counts {
        std::unordered_map<std::uint64_t, std::uint32_t> grams;
        std::unordered_map<std::uint64_t, followers> contexts; ///< by what comes before a gram's last token
    };

    // A few tokens as one number. How many they are is known from where the number is looked up.
    [[nodiscard]] std::uint64_t append(std::uint64_t tokens, token_t token) const {
        return tokens * static_cast<std::uint64_t>(vocabulary_) + static_cast<std::uint64_t>(token);
    }
    [[nodiscard]] std::uint64_t key(std::span<const token_t> tokens) const {
        std::uint64_t result = 0;
        for (const token_t token : tokens) {
            result = append(result, token);
        }
        return result;
    }

    token_t vocabulary_;
    std::vector<counts> orders_;
};

} // namespace language_model
