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
    shards.for_each_shard([&](int step, const key_shard<T>& shard) {
        key_sums totals(step > 0 ? shard.parts : std::vector<placed_range>{}, each); // of keys of others
        shards.for_each_part_seen(shard, [&](std::size_t queries, std::size_t i) {
            const attention_call<T> part = shards.part_call(shards.queries()[queries], shard, i, lengths);
            const auto sums = step > 0 ? view(totals.of(i), call.batch, call.heads, part.key_length)
                                       : columns_of(received, shard.parts[i].at, part.key_length);
            received_on_host(exec, part, sums, mask_from_key(mask, part.key_offset), true);
        });
        if (step > 0) {
            returned.give(step, std::move(totals));
        }
    });
    returned.finish();
}

} // namespace detail
UNMASK_NAMESPACE_END
