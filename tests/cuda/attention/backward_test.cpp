// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the gradients on cuda_executor are besides near the truth.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <vector>

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include "on_device.hpp"

namespace {

using namespace test;

// The gradients that are wanted, from the tensors that the problem holds; the others stay as they are.
template <class T>
void differentiate(problem<T>& solved, const any_mask& mask, bool queries, bool keys, bool values) {
    const device_problem<T> device(solved);
    attention_gradients<T> gradients = device.gradients(no_sink{});
    gradients.query = queries ? gradients.query : tensor_view<T, 4>{};
    gradients.key = keys ? gradients.key : tensor_view<T, 4>{};
    gradients.value = values ? gradients.value : tensor_view<T, 4>{};
    device_gradients<T, any_mask, no_sink>::backward({}, device.tensors(), gradients, mask, no_sink{}, {});
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    device.fetch();
}

} // namespace

TEST_CASE_TEMPLATE("gradients have the same bits whichever others are wanted", T, float, bfloat16) {
    std::mt19937 random(66);
    const any_mask mask(block{24});
    for (const index_t head_dim : {40, 256}) {
        problem<T> all({1, 50, 70, 2, 1, head_dim}, random);
        run_on_device<no_sink>(all, mask, {});
        for (int wanted = 0; wanted < 8; ++wanted) {
            CAPTURE(head_dim);
            CAPTURE(wanted);
            problem<T> some = all.fresh();
            const problem<T> none = some;
            some.output = all.output;
            some.log_sum_exp = all.log_sum_exp;
            differentiate(some, mask, (wanted & 1) != 0, (wanted & 2) != 0, (wanted & 4) != 0);
            CHECK(same_bits(some.d_query, (wanted & 1) != 0 ? all.d_query : none.d_query));
            CHECK(same_bits(some.d_key, (wanted & 2) != 0 ? all.d_key : none.d_key));
            CHECK(same_bits(some.d_value, (wanted & 4) != 0 ? all.d_value : none.d_value));
        }
    }
}

// With scores so large that neighbours among floats weigh differently. Where dO is 1, a value's gradient is what its
// key receives.
TEST_CASE_TEMPLATE("forward, received and backward have the same scores to the bit", T, float, bfloat16) {
    std::mt19937 random(67);
    attention_options options;
    options.scale = 1e5F;
    for (const index_t head_dim : {32, 64, 96, 128, 192, 256}) {
        CAPTURE(head_dim);
        problem<T> input({16, 1, 20, 1, 1, head_dim}, random);
        std::fill(input.d_output.begin(), input.d_output.end(), T(1.0F));
        run_on_device<no_sink>(input, any_mask(bidirectional{}), options);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < input.d_value.size(); ++i) {
            wrong += input.d_value[i] == static_cast<T>(input.received[i / input.dim()]) ? 0 : 1;
        }
        CHECK(wrong == 0);
    }
}

// Also where the score is −∞, and the key's weight 0.
TEST_CASE("an infinite key makes NaN of its column in the gradients of rows that see it, an infinite query of keys") {
    std::mt19937 random(68);
    const any_mask mask(causal{});
    constexpr index_t length = 50;
    constexpr std::size_t bad = 20;
    constexpr std::size_t column = 3;
    for (const index_t head_dim : {8, 200}) {
        CAPTURE(head_dim);
        const problem<bfloat16> input({1, length, length, 1, 1, head_dim}, random);
        const auto dim = static_cast<std::size_t>(head_dim);
        const auto is_nan = [&](const std::vector<bfloat16>& values, std::size_t position) {
            return std::isnan(static_cast<float>(values[position * dim + column]));
        };
        for (const bool of_query : {false, true}) {
            CAPTURE(of_query);
            problem<bfloat16> p = input.fresh();
            (of_query ? p.query : p.key)[bad * dim + column] =
                static_cast<bfloat16>(-std::numeric_limits<float>::infinity());
            run_on_device<no_sink>(p, mask, {});
            std::size_t wrong = 0;
            for (std::size_t i = 0; i < static_cast<std::size_t>(length); ++i) {
                wrong += of_query ? i <= bad && !is_nan(p.d_key, i) : is_nan(p.d_query, i) != (i >= bad);
            }
            CHECK(wrong == 0);
        }
    }
}
