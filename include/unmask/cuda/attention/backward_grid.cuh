// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/numeric/detail/integers.hpp>

// The grids of the backward kernels on tensor cores.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Of `rows` rows in each unit, `resident` blocks of which a multiprocessor holds. What a unit's blocks visit is
// `visited` rows of two tensors.
template <class Plan, class T>
block_grid backward_grid(const device_properties& gpu, const kernel_call<T>& call, int rows, index_t visited,
                         int resident, bool mask_is_uneven) {
    block_grid grid{};
    grid.units = call.sequences * call.kv_heads;
    grid.tiles = tiles_of(rows, Plan::owned);
    grid.parts = Plan::parts;
    const index_t blocks = static_cast<index_t>(grid.units) * grid.tiles * grid.parts;
    grid.uneven = mask_is_uneven && grid.tiles > 1 && blocks > static_cast<index_t>(gpu.multiprocessors) * resident;
    const index_t unit_bytes = 2 * visited * call.head_dim * static_cast<index_t>(sizeof(T));
    grid.section = static_cast<int>(
        std::clamp<index_t>(gpu.cache_bytes / 2 / std::max<index_t>(unit_bytes, 1), 1, std::max(grid.units, 1)));
    return grid;
}
template <class Plan, class T>
block_grid backward_keys_grid(const device_properties& gpu, const kernel_call<T>& call, int resident,
                              bool mask_is_uneven) {
    return backward_grid<Plan>(gpu, call, call.key_length, static_cast<index_t>(call.query_length) * call.group,
                               resident, mask_is_uneven);
}
template <class Plan, class T>
block_grid backward_queries_grid(const device_properties& gpu, const kernel_call<T>& call, int resident,
                                 bool mask_is_uneven) {
    return backward_grid<Plan>(gpu, call, call.query_length * call.group, call.key_length, resident, mask_is_uneven);
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
