// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// What a draw gives.
struct drawn {
    token_t token = -1;
    double log_probability = 0; ///< of the token in the distribution that it was drawn from
    row_statistics shaped;      ///< of that distribution
};

/// Memory that a draw may use as it likes; one for each worker, kept from row to row.
struct draw_scratch {
    struct weighted_token {
        token_t token;
        double exponent; ///< (logit − the highest) / temperature
        double weight;   ///< exp of it
    };
    std::vector<weighted_token> kept;
    std::vector<double> sums;
    std::vector<float> logits; ///< a row of another type
};

/// A draw: the token of one row. `drawn operator()(logits, raw, uniform, scratch) const`, where raw = statistics_of(logits),
/// in which the mask token's logit is −∞, and uniform is in (0, 1). Called by many threads at once.
template <class D>
concept draw_policy = sampling_policy<D> && requires(const D& draw, std::span<const float> logits,
                                                     const row_statistics& raw, double uniform, draw_scratch& scratch) {
    { draw(logits, raw, uniform, scratch) } -> std::same_as<drawn>;
};

/// The most likely token; of equals, the lowest.
struct greedy {
    static constexpr auto kind = policy_kind::draw;

    drawn operator()(std::span<const float> /*logits*/, const row_statistics& raw, double /*uniform*/,
                     draw_scratch& /*scratch*/) const {
        return {raw.best, raw.log_best(), raw};
    }
};

/// Which filter comes first when both are given: the second sees what the first left.
enum class filter_order {
    top_k_then_top_p, ///< SDAR, LLaDA2, diffusers
    top_p_then_top_k, ///< Dream
};

/// A draw from the distribution after, in this order, temperature, top-k and top-p.
///
/// Exact: one uniform number a row, inverted through the cumulative sums in the order of the vocabulary. Temperature 0
/// takes the most likely token; the shaped distribution is then the one at temperature 1. top-k keeps the k most likely
/// tokens (of equals, the lowest); top-p keeps the fewest of the most likely ones whose probabilities reach p.
struct categorical {
    static constexpr auto kind = policy_kind::draw;
    double temperature = 1;
    index_t top_k = 0; ///< 0: no such filter
    double top_p = 1;  ///< 1: no such filter
    filter_order order = filter_order::top_k_then_top_p;

    void check() const {
        if (!(temperature >= 0 && temperature <= std::numeric_limits<double>::max())) {
            throw invalid_argument("sampler", "categorical.temperature", std::to_string(temperature),
                                   "at least 0 and finite");
        }
        if (top_k < 0) {
            throw invalid_argument("sampler", "categorical.top_k", std::to_string(top_k), "at least 0");
        }
        if (!(top_p > 0 && top_p <= 1)) {
            throw invalid_argument("sampler", "categorical.top_p", std::to_string(top_p), "in (0, 1]");
        }
    }

    drawn operator()(std::span<const float> logits, const row_statistics& raw, double uniform,
                     draw_scratch& scratch) const {
        const bool cold = temperature < 1e-300; // its inverse may not be finite
        const double scale = cold ? 1.0 : 1 / temperature;
        const bool filtered = (top_k > 0 && top_k < std::ssize(logits)) || top_p < 1;
        if (!filtered) {
            return cold ? drawn{raw.best, raw.log_best(), raw} : draw_from_all(logits, raw, scale, uniform, scratch);
        }
        const row_statistics shaped = filter(logits, raw, scale, scratch);
        if (cold) {
            return {shaped.best, shaped.log_best(), shaped};
        }
        return draw_from_kept(shaped, uniform, scratch);
    }

private:
    static constexpr std::size_t chunk = 1024;

    // Sums of chunks first, so that finding the token reads one chunk again and not the row.
    static drawn draw_from_all(std::span<const float> logits, const row_statistics& raw, double scale, double uniform,
                               draw_scratch& scratch) {
        const auto best = static_cast<std::size_t>(raw.best);
        const double highest = logits[best];
        scratch.sums.clear();
        detail::weight_sums others; // all but the best, whose weight is 1
        for (std::size_t begin = 0; begin < logits.size(); begin += chunk) {
            const auto part = logits.subspan(begin, std::min(chunk, logits.size() - begin));
            const bool has_best = best >= begin && best - begin < part.size();
            const auto sums = has_best ? detail::sum_weights_but(static_cast<token_t>(best - begin), part, scale)
                                       : detail::sum_weights(part, highest, scale);
            others += sums;
            scratch.sums.push_back(sums.weight + (has_best ? 1 : 0));
        }
        const row_statistics shaped = detail::make_statistics(raw.best, raw.second * scale, others);

        double left = uniform * (1 + others.weight);
        std::size_t place = 0;
        while (place + 1 < scratch.sums.size() && left >= scratch.sums[place]) {
            left -= scratch.sums[place++];
        }
        // Rounding can leave a little at the end: the last token that has a weight takes it.
        token_t token = raw.best;
        double exponent = 0;
        const std::size_t end = std::min((place + 1) * chunk, logits.size());
        for (std::size_t begin = place * chunk; begin < end && left >= 0; begin += detail::parts) {
            const detail::weight_batch batch(logits.subspan(begin), highest, scale);
            for (std::size_t i = 0; i < detail::parts && left >= 0; ++i) {
                if (batch.weight[i] > 0) {
                    left -= batch.weight[i];
                    token = static_cast<token_t>(begin + i);
                    exponent = batch.exponent[i];
                }
            }
        }
        return {token, exponent - shaped.log_sum, shaped};
    }

    // Fills scratch.kept with the tokens that the filters keep, in the order of the vocabulary.
    row_statistics filter(std::span<const float> logits, const row_statistics& raw, double scale,
                          draw_scratch& scratch) const {
        using weighted_token = draw_scratch::weighted_token;
        const double highest = logits[static_cast<std::size_t>(raw.best)];
        const bool few = top_k > 0 && top_k < std::ssize(logits);
        const auto count = static_cast<std::size_t>(few ? top_k : std::ssize(logits));
        const bool few_first = few && order == filter_order::top_k_then_top_p;
        auto& kept = scratch.kept;

        // Tokens that together have less than 1 − p can't be among those that reach p: no need to sort them.
        double mass = 1 + detail::sum_weights_but(raw.best, logits, scale).weight;
        const double least = few_first ? 0 : (1 - top_p) * mass / (2 * static_cast<double>(logits.size()));
        kept.clear();
        for (std::size_t begin = 0; begin < logits.size(); begin += detail::parts) {
            const detail::weight_batch batch(logits.subspan(begin), highest, scale);
            for (std::size_t i = 0; i < detail::parts; ++i) {
                if (batch.weight[i] > 0 && batch.weight[i] >= least) {
                    kept.push_back({static_cast<token_t>(begin + i), batch.exponent[i], batch.weight[i]});
                }
            }
        }
        const auto more_likely = [](const weighted_token& a, const weighted_token& b) {
            return a.exponent > b.exponent || (a.exponent == b.exponent && a.token < b.token);
        };
        if (few_first && count < kept.size()) {
            std::nth_element(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(count), kept.end(), more_likely);
            kept.resize(count);
        }
        std::sort(kept.begin(), kept.end(), more_likely);
        if (few_first) {
            mass = sum_of(kept);
        }
        if (top_p < 1) {
            double sum = 0;
            std::size_t size = 0;
            while (size < kept.size() && sum < top_p * mass) {
                sum += kept[size++].weight;
            }
            kept.resize(size);
        }
        kept.resize(std::min(kept.size(), count));

        detail::weight_sums others;
        for (std::size_t i = kept.size(); i-- > 1;) {
            others += {kept[i].weight, kept[i].weight * kept[i].exponent};
        }
        const double second = kept.size() > 1 ? kept[1].exponent : -std::numeric_limits<double>::infinity();
        std::sort(kept.begin(), kept.end(),
                  [](const weighted_token& a, const weighted_token& b) { return a.token < b.token; });
        return detail::make_statistics(raw.best, second, others);
    }

    static drawn draw_from_kept(const row_statistics& shaped, double uniform, const draw_scratch& scratch) {
        double left = uniform * sum_of(scratch.kept);
        std::size_t i = 0;
        while (i + 1 < scratch.kept.size() && left >= scratch.kept[i].weight) {
            left -= scratch.kept[i++].weight;
        }
        return {scratch.kept[i].token, scratch.kept[i].exponent - shaped.log_sum, shaped};
    }

    static double sum_of(const std::vector<draw_scratch::weighted_token>& kept) {
        double sum = 0;
        for (const auto& entry : kept) {
            sum += entry.weight;
        }
        return sum;
    }
};

namespace detail {

// All that the sampler needs of a row.
struct row_result {
    row_statistics raw;             // its best is −1 if the row has no distribution: the rest is then without meaning
    drawn draw;                     // the drawn token
    double raw_log_probability = 0; // of the drawn token, before temperature and filters
};

// Reads a row in which the mask token's logit is −∞ and draws its token.
template <class Draw, class Logit>
row_result reduce_row(const Draw& draw, std::span<const Logit> logits, double uniform, draw_scratch& scratch) {
    if constexpr (!std::same_as<Logit, float>) {
        std::vector<float> wide = std::move(scratch.logits);
        wide.assign(logits.begin(), logits.end());
        const row_result result = reduce_row(draw, std::span<const float>(wide), uniform, scratch);
        scratch.logits = std::move(wide);
        return result;
    } else {
        row_result result{statistics_of(logits), {}, 0};
        if (result.raw.best >= 0) {
            result.draw = draw(logits, std::as_const(result.raw), uniform, scratch);
            const auto token = static_cast<std::size_t>(result.draw.token);
            if (result.draw.token >= 0 && token < logits.size()) {
                const double best = logits[static_cast<std::size_t>(result.raw.best)];
                result.raw_log_probability = logits[token] - best - result.raw.log_sum;
            }
        }
        return result;
    }
}

} // namespace detail

UNMASK_NAMESPACE_END
