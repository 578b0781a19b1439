// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/row_states.cuh>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/device/shards.cuh>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// Forward over the GPUs of ranks: what each part of the keys gives the rows is merged in float, and rounded once.

UNMASK_NAMESPACE_BEGIN
namespace detail {

template <class Parallel, class T, mask_policy Mask, sink_policy Sink>
void forward_on_devices(const Parallel& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
    using shards_type = device_shards<Parallel, T, Mask>;
    const shards_type shards(forward_function, 0, exec, call, mask);
    const cuda::growing_forward<T> rows(shards.work(), call, sink);
    typename shards_type::plan_type::part_lengths lengths;
    const auto nothing = [](int, const key_shard<T>&) {};
    const auto add = [&](int /*step*/, const key_shard<T>& shard, std::size_t i, const placed_range& queries) {
        const attention_call<T> part = shards.plan().part_call(queries, shard, i, lengths);
        rows.add(part, queries.at, mask_from_key(mask, part.key_offset), typename Parallel::kernels{});
    };
    shards.for_each_part(nothing, add, nothing);
    rows.finish();
}

} // namespace detail
UNMASK_NAMESPACE_END
