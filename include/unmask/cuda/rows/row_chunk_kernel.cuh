// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>

// The pass over the logits, which reduces each chunk of each row. row_kernel.cuh joins the chunks.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The reduction of a chunk.
struct chunk_record {
    float highest; // NaN if a logit is NaN or +∞; −∞ if the chunk adds nothing
    float weight;
    float moment;
    float shaped_weight;
    float shaped_moment; // in the rule's unit

    [[nodiscard]] UNMASK_DEVICE chunk_sums sums(const weight_rule& shaped) const {
        return {{weight, moment}, {shaped_weight, shaped.in_logits(shaped_moment)}};
    }
};

template <class Logit>
struct chunk_parameters {
    logit_rows<Logit> logits;
    const int* count; // number of rows; `most` if null
    index_t most;
    weight_rule shaped;
    chunk_record* records; // [rows][chunks]; with a filter, the records without it are read first
    int blocks;

    [[nodiscard]] UNMASK_DEVICE index_t rows() const { return count != nullptr ? *count : most; }
};

inline constexpr int chunk_warps = 4; // warps in a block, each with its own chunk
inline constexpr int chunk_threads = chunk_warps * device::warp_size;
inline constexpr int chunk_blocks = 5; // blocks on a multiprocessor; more would have too few registers

// Reads a chunk. Collective.
template <bool Tempered, class Logit>
UNMASK_DEVICE chunk_record read_chunk(const logit_rows<Logit>& rows, index_t row, int chunk, const weight_rule& shaped,
                                      const warp_weights& weights) {
    warp_chunk tokens;
    tokens.load(rows, row, chunk * static_cast<int>(chunk_size));
    chunk_record record{tokens.highest(), 0, 0, 0, 0};
    if (record.highest == minus_infinity) {
        record.highest = tokens.any_bad() ? not_a_number : minus_infinity;
    } else {
        const chunk_sums sums = tokens.sums<Tempered>(record.highest, weights, shaped);
        const bool bad = is_bad_logit(record.highest) || is_bad_logit(static_cast<float>(sums.raw.moment));
        record = {bad ? not_a_number : record.highest, static_cast<float>(sums.raw.weight),
                  static_cast<float>(sums.raw.moment), static_cast<float>(sums.shaped.weight),
                  static_cast<float>(sums.shaped.moment)};
    }
    return record;
}

// One warp for each chunk.
template <bool Tempered, class Logit>
UNMASK_KERNEL(chunk_threads, chunk_blocks)
void chunk_kernel(chunk_parameters<Logit> p) {
    const warp_weights weights;
    const int chunks = p.logits.chunks();
    const index_t rows = p.rows();
    const int first = device::block() * chunk_warps + device::warp();
    const int step = p.blocks * chunk_warps;
    const int rows_a_step = step / chunks;
    const int rest_of_step = step % chunks;
    int chunk = first % chunks;
    UNMASK_NO_UNROLL
    for (index_t row = first / chunks; row < rows; row += rows_a_step) {
        chunk_record& stored = p.records[row * chunks + chunk];
        chunk_record record{minus_infinity, 0, 0, 0, 0};
        if (p.logits.floors == nullptr || !(stored.highest < p.logits.floors[row].logit)) {
            record = read_chunk<Tempered>(p.logits, row, chunk, p.shaped, weights);
        }
        if (device::lane() == 0) {
            stored = record;
        }
        chunk += rest_of_step;
        if (chunk >= chunks) {
            chunk -= chunks;
            ++row;
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
