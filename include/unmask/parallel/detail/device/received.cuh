// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/received.cuh>
#include <unmask/cuda/attention/tensor_rows.cuh>
#include <unmask/mask/detail/keys_from.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/parallel/detail/device/returned_sums.cuh>
#include <unmask/parallel/detail/device/shards.cuh>
#include <unmask/parallel/detail/sharded_call.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// What keys receive, over the GPUs of ranks: each sums over its queries, and the sums come back to the owners of the
// keys.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// [batch, heads, positions] as [batch, heads, 1, positions].
template <class T>
tensor_view<T, 4> as_rows(const tensor_view<T, 3>& of) {
    return {
        of.data, {of.extents[0], of.extents[1], 1, of.extents[2]}, {of.strides[0], of.strides[1], 0, of.strides[2]}};
}

template <class Parallel, class T, mask_policy Mask>
void received_on_devices(const Parallel& exec, const attention_call<T>& given, const tensor_view<float, 3>& received,
                         const Mask& mask) {
    using shards_type = device_shards<Parallel, T, Mask>;
    attention_call<T> call = given;
    call.value = {}; // not read, so not sent
    const shards_type shards(received_function, 0, exec, call, mask);
    const cuda::work_stream& work = shards.work();
    const index_t each = call.batch * call.heads; // floats of a position
    const auto sums_of = [&](auto* sums, const placed_range& part) {
        return view(sums, call.batch, call.heads, part.size());
    };
    const device_elements<float> total(work, static_cast<std::size_t>(each * call.key_length));
    const auto totals = view(total.data(), call.batch, call.heads, call.key_length);
    if (total.size() > 0) {
        clear_device(total.data(), total.bytes().size(), work.stream);
    }
    const auto add_to_own = [&](const placed_range& part, const float* sums) {
        cuda::add_rows(work, as_rows(sums_of(sums, part)), as_rows(columns_of(totals, part.at, part.size())));
    };
    device_returned_sums<shards_type> returned(shards, each, add_to_own);
    typename shards_type::plan_type::part_lengths lengths;
    device_part_sums of_shard;
    shards.for_each_part(
        [&](int /*step*/, const key_shard<T>& shard) { of_shard = device_part_sums(work, shard.parts, each); },
        [&](int /*step*/, const key_shard<T>& shard, std::size_t i, const placed_range& queries) {
            const attention_call<T> part = shards.plan().part_call(queries, shard, i, lengths);
            const device_elements<float> memory(work, static_cast<std::size_t>(each * part.key_length));
            const auto sums = sums_of(memory.data(), shard.parts[i]);
            cuda::run_received(work, part, sums, mask_from_key(mask, part.key_offset), typename Parallel::kernels{});
            cuda::add_rows(work, as_rows(sums), as_rows(sums_of(of_shard.of(i), shard.parts[i])));
        },
        [&](int step, const key_shard<T>& shard) { returned.give(step, shard.parts, std::move(of_shard)); });
    returned.finish();
    cuda::copy_rows(work, as_rows(tensor_view<const float, 3>(totals)), as_rows(received));
}

} // namespace detail
UNMASK_NAMESPACE_END
