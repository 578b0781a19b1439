// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/sampler/detail/host/draw_filter.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN

/// A draw: chooses the token of a row. `drawn operator()(logits, raw, uniform, scratch) const` receives logits in
/// which that of the mask token is −∞, raw = statistics_of(logits), and a uniform number in (0, 1). Called by
/// many threads concurrently.
///
/// Optional: `auto at(const schedule_step&) const`, which returns the draw that the sampler uses for a step of a block.
template <class D>
concept draw_policy = sampling_policy<D> && requires(const D& draw, std::span<const float> logits,
                                                     const row_statistics& raw, double uniform, draw_scratch& scratch) {
    { draw(logits, raw, uniform, scratch) } -> std::same_as<drawn>;
};

/// Takes the most likely token; of equals, the lowest.
struct greedy {
    static constexpr auto kind = policy_kind::draw;

    drawn operator()(std::span<const float> /*logits*/, const row_statistics& raw, double /*uniform*/,
                     draw_scratch& /*scratch*/) const {
        return {raw.best, raw.log_best(), raw};
    }
};

/// Draws from the distribution after temperature and then, in the order that `order` says, top-k and top-p.
///
/// The draw is exact and uses one uniform number per row: each time a chunk of 1024 tokens has been read, the number
/// chooses between it and the earlier ones, and in the end it inverts the cumulative sums of the chosen chunk in the
/// order of the vocabulary. Temperature 0 takes the most likely token; the shaped distribution is then that of
/// temperature 1. top-k keeps the k most likely tokens (of equals, the lowest); top-p keeps the smallest set of most
/// likely tokens whose probabilities sum to at least p. The result is as if all other logits were −∞.
///
/// Work: the row is read once. A filter reads chunks that have a token it may keep twice more; these are most chunks
/// only if the distribution is flat.
struct categorical {
    static constexpr auto kind = policy_kind::draw;
    double temperature = 1;                              ///< at least 0; less than 1e-37, but not 0, is 1e-37
    index_t top_k = 0;                                   ///< 0 for no such filter
    double top_p = 1;                                    ///< in (0, 1]; 1 for no such filter
    filter_order order = filter_order::top_k_then_top_p; ///< the filter that is applied first

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

    /// The filters and their order.
    [[nodiscard]] constexpr detail::token_filter filter() const { return {top_k, top_p, order}; }

    /// Draws a token. Reads the whole row and ignores `raw`; the sampler itself computes both in one pass.
    drawn operator()(std::span<const float> logits, const row_statistics& /*raw*/, double uniform,
                     draw_scratch& scratch) const;
};

namespace detail {

// All that the sampler needs of a row in which the mask token's logit is −∞: in one pass for greedy and categorical;
// for a user's draw, first the statistics and then the draw. raw.best is −1, and the rest meaningless, if the row has
// no distribution.
template <class Draw, class Logit>
row_result reduce_row(const Draw& draw, std::span<const Logit> logits, double uniform, draw_scratch& scratch) {
    if constexpr (std::same_as<Draw, greedy>) {
        return read_row(row_draw{}, logits, uniform);
    } else if constexpr (std::same_as<Draw, categorical>) {
        const row_draw how = row_draw::at_temperature(draw.temperature);
        const row_filter filter{draw.filter()};
        return filter.keeps_all(logits.size()) ? read_row(how, logits, uniform) : filter(how, logits, uniform, scratch);
    } else if constexpr (std::same_as<Logit, float>) {
        row_result result{statistics_of(logits), {}};
        if (result.raw.best >= 0) {
            result.draw = draw(logits, std::as_const(result.raw), uniform, scratch);
        }
        return result;
    } else {
        std::vector<float> wide = std::move(scratch.logits);
        wide.assign(logits.begin(), logits.end());
        const row_result result = reduce_row(draw, std::span<const float>(wide.data(), wide.size()), uniform, scratch);
        scratch.logits = std::move(wide);
        return result;
    }
}

} // namespace detail

inline drawn categorical::operator()(std::span<const float> logits, const row_statistics& /*raw*/, double uniform,
                                     draw_scratch& scratch) const {
    return detail::reduce_row(*this, logits, uniform, scratch).draw;
}

UNMASK_NAMESPACE_END
