// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/received.hpp>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/returned_sums.hpp>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// What keys receive, over ranks: each sums over its queries, and the sums come back to the owners of the keys.

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class Parallel, class T, mask_policy Mask>
void received_on_ranks(const Parallel& exec, const attention_call<T>& given, const tensor_view<float, 3>& received,
                       const Mask& mask) {
    using shards_type = sharded_call<Parallel, T, Mask>;
    attention_call<T> call = given;
    call.value = {}; // not read, so not sent
    const shards_type shards(received_function, 0, exec, call, mask);
    for (index_t row = 0; row < call.batch * call.heads; ++row) {
        std::fill_n(received.pointer(row / call.heads, row % call.heads), call.key_length, 0.0F);
    }
    const index_t each = call.batch * call.heads; // floats of a position
    const auto add_to_own = [&](const placed_range& part, const float* sums) {
        for (index_t row = 0; row < each; ++row, sums += part.size()) {
            float* const to = received.pointer(row / call.heads, row % call.heads, part.at);
            std::transform(sums, sums + part.size(), to, to, std::plus<>{});
        }
    };
    returned_sums<shards_type, decltype(Parallel::ranks)> returned(shards, exec.ranks, each, add_to_own);
    typename shards_type::part_lengths lengths;
    std::vector<float> memory; // of one part for some of the queries
    shards.for_each_shard([&](int step, const key_shard<T>& shard) {
        key_sums totals(shard.parts, each);
        for (const placed_range& queries : shards.queries()) {
            for (std::size_t i = 0; i < shard.parts.size(); ++i) {
                if (shards.sees(queries, shard.parts[i])) {
                    const attention_call<T> part = shards.part_call(queries, shard, i, lengths);
                    memory.resize(static_cast<std::size_t>(each * part.key_length));
                    received_on_host(exec, part, view(memory.data(), call.batch, call.heads, part.key_length),
                                     mask_from_key(mask, part.key_offset));
                    std::transform(memory.begin(), memory.end(), totals.of(i), totals.of(i), std::plus<>{});
                }
            }
        }
        returned.give(step, shard.parts, std::move(totals));
    });
    returned.finish();
}

} // namespace detail
UNMASK_NAMESPACE_END
