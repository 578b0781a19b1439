// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_end.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The state of a streamed row.
struct streamed_state {
    row_state row;
    int read;     // tokens
    int bad_from; // the first token of the first chunk that has NaN or +∞; −1 if none has
};

} // namespace detail::cuda

/// The destination of a model's kernel that writes the logits of a step tile by tile, so that no row is ever stored.
/// The sampler passes it to the model's denoise(exec, canvas, rows, stream), which passes it to its kernel by value.
/// There one warp writes each row:
///
///     device_logits_stream::row_writer row(stream, i); // the i-th requested row
///     row.write(tile, count);                          // the next `count` tokens, as floats in any memory
///     row.finish();
///
/// All 32 lanes call these functions together. The tiles of a row are written in ascending order of tokens; the length
/// of each but the last is a multiple of `tile_unit` tokens. Every row is written to its end. Statistics and tokens are
/// those of stored logits, bit for bit.
///
/// Memory: about 160 bytes per row, and 4 KiB more per row if tokens are drawn at random.
class device_logits_stream {
public:
    static constexpr int tile_unit = static_cast<int>(detail::chunk_size); ///< tokens in the shortest inner tile

    class row_writer;

    /// For the sampler: a stream into device memory, with the way in which rows are read.
    device_logits_stream(detail::cuda::streamed_state* rows, float* chosen, const double* uniforms, int size,
                         int suppressed, const detail::row_rule& rule)
        : rows_(rows), chosen_(chosen), uniforms_(uniforms), size_(size), suppressed_(suppressed), rule_(rule) {}

private:
    detail::cuda::streamed_state* rows_;
    float* chosen_; // [rows][tile_unit], of the chosen chunk
    const double* uniforms_;
    int size_;
    int suppressed_;
    detail::row_rule rule_;
};

/// Writes one row, by all lanes of a warp.
class device_logits_stream::row_writer {
public:
    /// A writer of the i-th requested row.
    UNMASK_DEVICE row_writer(const device_logits_stream& stream, index_t i)
        : stream_(stream), i_(i), drawn_(stream.rule_.reading != detail::row_reading::statistics) {
        state_.choice.uniform = drawn_ ? stream.uniforms_[i] : 0;
    }

    /// Writes the logits of the next `count` tokens.
    UNMASK_DEVICE void write(const float* tile, int count) {
        for (int first = 0; first < count; first += tile_unit) {
            detail::cuda::warp_chunk tokens;
            tokens.load_from(tile + first, count - first);
            tokens.suppress(stream_.suppressed_ - read_);
            add(tokens);
            read_ += count - first < tile_unit ? count - first : tile_unit;
        }
    }

    /// Ends the row, after its last tile.
    UNMASK_DEVICE void finish() const {
        if (detail::device::lane() == 0) {
            stream_.rows_[i_] = {state_, read_, bad_from_};
        }
    }

private:
    UNMASK_DEVICE void add(detail::cuda::warp_chunk& tokens) {
        bool bad = false;
        switch (stream_.rule_.reading) {
        case detail::row_reading::statistics:
            bad = add<detail::row_reading::statistics>(tokens);
            break;
        case detail::row_reading::draw:
            bad = add<detail::row_reading::draw>(tokens);
            break;
        case detail::row_reading::tempered_draw:
            bad = add<detail::row_reading::tempered_draw>(tokens);
            break;
        }
        if (bad) {
            bad_from_ = bad_from_ < 0 ? read_ : bad_from_;
            state_.bad = true;
        }
    }

    // The sums of a chunk, in logits.
    template <bool Tempered>
    UNMASK_DEVICE detail::chunk_sums sums_of(const detail::cuda::warp_chunk& tokens, float highest) const {
        const detail::weight_rule& rule = stream_.rule_.rule;
        detail::chunk_sums sums = tokens.sums<Tempered>(highest, weights_, rule);
        sums.shaped.moment = rule.in_logits(sums.shaped.moment);
        return sums;
    }

    // Whether the chunk has NaN or +∞.
    template <detail::row_reading Reading>
    UNMASK_DEVICE bool add(detail::cuda::warp_chunk& tokens) {
        constexpr bool tempered = Reading == detail::row_reading::tempered_draw;
        const detail::weight_rule& rule = stream_.rule_.rule;
        const float highest = tokens.highest();
        const auto first = static_cast<std::size_t>(read_);
        if (highest == detail::minus_infinity) {
            return tokens.any_bad();
        }
        if (detail::is_bad_logit(highest)) {
            return true;
        }
        detail::cuda::warp_chunk kept = tokens;
        if (state_.leads(highest)) {
            const detail::chunk_sums sums = sums_of<tempered>(tokens, highest);
            if (detail::is_bad_logit(static_cast<float>(sums.raw.moment))) {
                return true;
            }
            state_.add<Reading>(first, highest, sums,
                                detail::part_step::between<tempered>(highest, state_.part.highest, rule.scale));
        } else {
            const int best = tokens.first_with(highest);
            tokens.remove(best);
            const float second = tokens.highest();
            const detail::chunk_sums sums = sums_of<tempered>(tokens, highest);
            if (detail::is_bad_logit(static_cast<float>(sums.raw.moment))) {
                return true;
            }
            state_.add_leader<Reading>(first, {highest, second, read_ + best, sums.raw, sums.shaped},
                                       detail::part_step::between<tempered>(state_.part.highest, highest, rule.scale));
        }
        if (drawn_ && state_.choice.first == first) {
            kept.store_to(stream_.chosen_ + i_ * tile_unit, tile_unit);
        }
        return false;
    }

    const device_logits_stream& stream_;
    index_t i_;
    bool drawn_;
    detail::row_state state_;
    int read_ = 0;
    int bad_from_ = -1;
    detail::cuda::warp_weights weights_;
};

namespace detail::cuda {

struct stream_end_parameters {
    const streamed_state* rows;
    const float* chosen;
    const int* count;
    int size;
    row_rule rule;
    row_outcome* outcomes;
};

// A block for each row.
template <row_reading Reading>
UNMASK_KERNEL(row_threads, 4)
void stream_end_kernel(stream_end_parameters p) {
    if (device::block() >= *p.count) {
        return;
    }
    auto& tree = *reinterpret_cast<float (*)[2 * chunk_size]>(device::shared_memory());
    const streamed_state& streamed = p.rows[device::block()];
    const row_state& row = streamed.row;
    const auto logit = [&](int token) {
        const int in_chunk = token - static_cast<int>(row.choice.first);
        return p.chosen[static_cast<index_t>(device::block()) * static_cast<index_t>(chunk_size) + in_chunk];
    };
    const bool whole = streamed.read == p.size && !row.bad && row.part.best >= 0;
    if constexpr (Reading != row_reading::statistics) {
        if (whole) {
            grow_tree(tree, row.choice, p.rule.rule, logit);
        }
    }
    if (device::thread() == 0) {
        p.outcomes[device::block()] =
            whole ? outcome_of<Reading>(row, p.rule, tree, logit) : row_outcome{{row_statistics{}, drawn{}}, 0};
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
