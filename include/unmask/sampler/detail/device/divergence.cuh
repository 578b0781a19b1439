// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_end.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/step/divergence.hpp>

// How far the distribution of each candidate moved since the step before, for selectors with divergence_steps:
// row_history on the GPU, to the same bits.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The row of a position at the step before.
struct remembered_row {
    float highest;
    double log_sum;
    int known; // divergences of earlier steps, at most `steps`; −1: no row has been read yet
};

template <class Logit>
struct divergence_parameters {
    device_state state;
    logit_rows<Logit> logits;
    const row_outcome* outcomes;
    remembered_row* remembered; // [positions]
    float* last;                // [positions][logits.stride]: their logits
    double* recent;             // [positions][steps]
    int steps;
};

inline constexpr int divergence_warps = 4; // of a block, each with a chunk of its own
inline constexpr int divergence_threads = divergence_warps * device::warp_size;

// A block for each row.
template <class Logit>
UNMASK_KERNEL(divergence_threads, 1)
void divergence_kernel(divergence_parameters<Logit> p) {
    if (device::block() >= p.state.counts->rows) {
        return;
    }
    const index_t row = device::block();
    candidate& current = p.state.candidates[row];
    const row_statistics& now = p.outcomes[row].result.raw;
    if (now.best < 0) {
        return;
    }
    const index_t position = p.state.sequences[current.where.sequence].offset + current.where.position;
    remembered_row& before = p.remembered[position];
    const float highest = static_cast<float>(p.logits.row(row)[now.best]);
    const logit_rows<float> history{p.last, p.logits.stride, p.logits.size, -1};
    auto* const of_chunks = reinterpret_cast<float*>(device::shared_memory()); // [divergence_warps]
    const warp_weights weights;
    const int chunks = p.logits.chunks();
    double sum = 0;
    for (int begin = 0; begin < chunks; begin += divergence_warps) {
        const int chunk = begin + device::warp();
        if (chunk < chunks) {
            const int first = chunk * static_cast<int>(chunk_size);
            warp_chunk tokens;
            tokens.load(p.logits, row, first);
            if (before.known >= 0) {
                warp_chunk old;
                old.load(history, position, first);
                const float divergence = tokens.divergence(highest, old, before.highest, weights);
                if (device::lane() == 0) {
                    of_chunks[device::warp()] = divergence;
                }
            }
            tokens.store_to(p.last + position * p.logits.stride + first, p.logits.size - first);
        }
        device::barrier();
        if (device::thread() == 0 && before.known >= 0) {
            for (int i = 0; i < divergence_warps && begin + i < chunks; ++i) {
                sum += static_cast<double>(of_chunks[i]);
            }
        }
        device::barrier();
    }
    if (device::thread() == 0) {
        double* const recent = p.recent + position * p.steps;
        if (before.known >= 0) { // the oldest one makes room
            for (int i = p.steps - 1; i > 0; --i) {
                recent[i] = recent[i - 1];
            }
            recent[0] = kl_divergence(sum, now.log_sum, before.log_sum);
        }
        const int known = before.known < p.steps ? before.known + 1 : p.steps;
        double largest = known < p.steps ? -static_cast<double>(minus_infinity) : 0;
        for (int i = 0; i < known; ++i) {
            largest = recent[i] > largest ? recent[i] : largest;
        }
        current.divergence = largest;
        before = {highest, now.log_sum, known};
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
