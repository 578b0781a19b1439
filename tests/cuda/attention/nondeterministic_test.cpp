// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <cmath>
#include <cstddef>
#include <limits>

#include "difference.hpp"
#include "nondeterministic.hpp"

namespace {

using namespace test;
using any_order = nondeterministic<cuda_executor_for<64, 192>>;

// For as many blocks on a multiprocessor as without sums: two, or one of 192 columns where no two fit.
bool has_room_for_sums(index_t head_dim) {
    int bytes = 0;
    REQUIRE(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0) == cudaSuccess);
    return bytes > (head_dim == 64 ? 2 * 58 : 78) * 1024;
}

problem<bfloat16> solved_in_order(const shape& size, std::mt19937& random, const any_mask& mask) {
    problem<bfloat16> result(size, random);
    run_on_device<no_sink>(result, mask, {});
    return result;
}

// The gradients that are wanted; returns the most memory that was in use.
std::size_t differentiate(problem<bfloat16>& solved, const any_mask& mask, bool queries, bool keys, bool values) {
    const device_problem<bfloat16> device(solved);
    attention_gradients<bfloat16> gradients = device.gradients(no_sink{});
    gradients.query = queries ? gradients.query : tensor_view<bfloat16, 4>{};
    gradients.key = keys ? gradients.key : tensor_view<bfloat16, 4>{};
    gradients.value = values ? gradients.value : tensor_view<bfloat16, 4>{};
    measuring_resource memory;
    any_order exec;
    exec.memory = &memory;
    device_gradients<bfloat16, any_mask, no_sink, any_order>::backward(exec, device.tensors(), gradients, mask,
                                                                       no_sink{}, {});
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    device.fetch();
    return memory.most;
}

// Gradients of queries are finite where they are so in the usual order, and near those.
void check_finite(const problem<bfloat16>& input, const any_mask& mask) {
    using check = any_order_check<any_order, no_sink>;
    problem<bfloat16> got = check::solved(input, mask, {}, any_order{});
    problem<bfloat16> wanted = check::solved(input, mask, {}, cuda_executor{});
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < got.d_query.size(); ++i) {
        const bool finite = std::isfinite(static_cast<float>(wanted.d_query[i]));
        wrong += std::isfinite(static_cast<float>(got.d_query[i])) == finite ? 0 : 1;
        if (!finite) {
            got.d_query[i] = wanted.d_query[i] = bfloat16(0.0F);
        }
    }
    CHECK(wrong == 0);
    CHECK(difference(got.d_query, wanted.d_query) <= 3.0);
}

} // namespace

TEST_CASE("any order: gradients of queries are near the truth, all others have the same bits") {
    check_any_order<any_order>({40, 64, 136, 192}, 71);
}

TEST_CASE("any order: nothing but what a row sees makes NaN of its gradient") {
    std::mt19937 random(72);
    const any_mask mask(causal{});
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
        for (const index_t head_dim : {64, 192}) {
            CAPTURE(bad);
            CAPTURE(head_dim);
            problem<bfloat16> input({1, 100, 100, 2, 2, head_dim}, random);
            const auto at = static_cast<std::size_t>(40 * 2 * head_dim + 3); // of key 40
            input.key[at] = static_cast<bfloat16>(bad);
            check_finite(input, mask);
            problem<bfloat16> spoilt({1, 100, 100, 2, 2, head_dim}, random);
            spoilt.query[at] = static_cast<bfloat16>(bad);
            check_finite(spoilt, mask);
        }
    }
}

TEST_CASE("any order: only where gradients of queries and of keys are wanted, and then with sums in memory") {
    std::mt19937 random(73);
    const any_mask mask(causal{});
    for (const index_t head_dim : {64, 192}) {
        const problem<bfloat16> input = solved_in_order({1, 40, 40, 2, 2, head_dim}, random, mask);
        for (int wanted = 0; wanted < 8; ++wanted) {
            CAPTURE(head_dim);
            CAPTURE(wanted);
            problem<bfloat16> some = input.fresh();
            some.output = input.output;
            some.log_sum_exp = input.log_sum_exp;
            const problem<bfloat16> none = some;
            const std::size_t most = differentiate(some, mask, (wanted & 1) != 0, (wanted & 2) != 0, (wanted & 4) != 0);
            const std::size_t of_rows = 2 * 40 * sizeof(float);
            const bool summed = (wanted & 3) == 3 && has_room_for_sums(head_dim);
            CHECK(most == of_rows + (summed ? 2 * 64 * static_cast<std::size_t>(head_dim) * sizeof(float) : 0));
            CHECK(same_bits(some.d_key, (wanted & 2) != 0 ? input.d_key : none.d_key));
            CHECK(same_bits(some.d_value, (wanted & 4) != 0 ? input.d_value : none.d_value));
            if ((wanted & 1) == 0) {
                CHECK(same_bits(some.d_query, none.d_query));
            } else {
                CHECK(difference(some.d_query, input.d_query) <= 3.0);
            }
        }
    }
}
