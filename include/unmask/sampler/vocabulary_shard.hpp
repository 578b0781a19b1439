// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/row_draw.hpp>

UNMASK_NAMESPACE_BEGIN

/// The statistics and the draw of a row from one shard of its vocabulary. Shards in different memories are merged by
/// exchanging these, about 100 bytes each, instead of logits. The draw is greedy or a categorical; one with filters
/// throws invalid_argument.
///
/// Shards merge in any grouping. A merged draw has exactly the distribution of a draw from the whole row, but equal
/// random numbers don't give the same token, and statistics equal those of the whole row up to rounding in double.
/// draw_rows (parallel/rows.hpp) goes through the shards in order, and gives the bits of the whole row.
class vocabulary_shard {
public:
    /// Reads the logits of the tokens from `first_token` on; that of the mask token must be −∞. `uniform` is in (0, 1).
    /// Work: one pass over the logits.
    template <detail::streaming_draw Draw>
    vocabulary_shard(const Draw& draw, std::span<const float> logits, token_t first_token, double uniform)
        : how_(detail::row_draw_of("vocabulary_shard", draw)) {
        detail::row_reduction row;
        row.choice.uniform = uniform;
        how_.read(row, logits, 0, detail::no_token);
        bad_ = row.bad;
        part_ = row.part;
        if (!bad_ && part_.best >= 0) {
            const auto chosen = logits.subspan(row.choice.first);
            token_ = how_.finish(row, chosen.first(std::min(chosen.size(), detail::chunk_size))).draw.token;
            logit_ = logits[static_cast<std::size_t>(token_)];
            token_ += first_token;
            part_.best += first_token;
        }
    }

    /// This shard merged with a shard of higher tokens that was read with the same draw. `uniform` is a number in (0,
    /// 1) that is independent of those that the shards were read with.
    [[nodiscard]] vocabulary_shard merged(const vocabulary_shard& higher, double uniform) const {
        vocabulary_shard both = part_.best < 0 ? higher : *this;
        both.bad_ = bad_ || higher.bad_;
        if (part_.best < 0 || higher.part_.best < 0) {
            return both;
        }
        const bool tempered = how_.reading == detail::row_reading::tempered_draw;
        const bool leads = part_.highest >= higher.part_.highest;
        const detail::row_part& lower = leads ? higher.part_ : part_;
        both.part_ = leads ? part_ : higher.part_;
        const auto step = detail::part_step::between<true>(lower.highest, both.part_.highest, how_.rule.scale);
        step.add_to<true>(both.part_, lower);
        both.token_ = both.part_.best;
        both.logit_ = both.part_.highest;
        if (how_.reading != detail::row_reading::statistics) {
            const double factor = tempered ? step.shaped : step.raw;
            const double mine = how_.sums_of(part_).with_best().weight * (leads ? 1 : factor);
            const double other = how_.sums_of(higher.part_).with_best().weight * (leads ? factor : 1);
            const vocabulary_shard& from = uniform * (mine + other) < other ? higher : *this;
            both.token_ = from.token_;
            both.logit_ = from.logit_;
        }
        return both;
    }

    /// The statistics of the row at temperature 1; `best` is −1 if a logit is NaN or +∞ or all are −∞.
    [[nodiscard]] row_statistics statistics() const { return detail::raw_statistics({part_, {}, bad_}); }

    /// The drawn token; meaningless if statistics().best is −1.
    [[nodiscard]] drawn draw() const {
        const row_statistics shaped = how_.shaped_statistics(statistics(), part_);
        const double distance = static_cast<double>(logit_) - static_cast<double>(part_.highest);
        return {token_, distance * how_.rule.scale - shaped.log_sum, shaped};
    }

private:
    detail::row_draw how_;
    detail::row_part part_;
    bool bad_ = false;
    token_t token_ = -1;
    float logit_ = detail::minus_infinity;
};

UNMASK_NAMESPACE_END
