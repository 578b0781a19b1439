// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/plain_tile.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/numeric/detail/base_2.hpp>

// Backward without tensor cores, for float: what the kernel for keys and that for queries have in common. Both compute
// the scores of 64 queries × 64 keys anew, with the products of the forward kernel.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class T, mask_policy Mask, class Gradient = T>
struct plain_backward_parameters {
    backward_call<T, Gradient> of;
    Mask mask;
    block_grid grid;   // of the kernel for queries
    int column_groups; // blocks that share the columns of a tile's gradients
};

// P and dS of a tile, as a thread has them. Hidden pairs are −0, and no other is: a sum that leaves them out does not
// depend on what they hide.
struct plain_gradients {
    float probability[4][4];
    float d_score[4][4];

    // From q · k and d_output · v. Bit j of seen(i): row i sees column j.
    template <class T, class Seen, class LogSumExp, class Delta>
    UNMASK_DEVICE void set(const kernel_call<T>& call, const float (&scores)[4][4],
                           const float (&d_probabilities)[4][4], const Seen& seen, const LogSumExp& log_sum_exp,
                           const Delta& delta) {
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                const score_gradient each(call, call.score(scores[i][j]), log_sum_exp(i), d_probabilities[i][j],
                                          delta(i));
                const bool visible = (seen(i) >> j & 1U) != 0;
                probability[i][j] = visible ? each.probability : -0.0F;
                d_score[i][j] = visible ? each.d_score + 0.0F : -0.0F; // −0 + 0 is 0
            }
        }
    }
};

// sums += factorsᵀ · tile, over the 64 lines of both. Of a partial tile, factors of −0 are left out.
UNMASK_DEVICE void add_plain_product(const plain_probabilities& factors, const plain_tile& tile, bool partial,
                                     float (&sums)[4][4]) {
    UNMASK_NO_UNROLL
    for (int line = 0; line < 64; ++line) {
        float factor[4];
        float value[4];
        factors.load(line, factor);
        tile.load(line, plain_column(0), value);
        UNMASK_UNROLL
        for (int i = 0; i < 4; ++i) {
            const bool hidden = partial && bits_as<std::uint32_t>(factor[i]) == 0x80000000U;
            UNMASK_UNROLL
            for (int j = 0; j < 4; ++j) {
                sums[i][j] = hidden ? sums[i][j] : sums[i][j] + factor[i] * value[j];
            }
        }
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
