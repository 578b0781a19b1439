// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/tensor/tensor_view.hpp>

// Tensors that are copied, converted or added up, row by row.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class From, class To>
struct tensor_rows_parameters {
    tensor<const From> from;
    tensor<To> to;
    index_t rows;
    int positions;
    int heads;
    int head_dim;
};

inline constexpr int tensor_rows_a_block = 4; // a warp has one
inline constexpr int tensor_rows_threads = tensor_rows_a_block * device::warp_size;

template <bool Adds, class From, class To>
UNMASK_KERNEL(tensor_rows_threads, 1)
void tensor_rows_kernel(tensor_rows_parameters<From, To> p) {
    const index_t row = static_cast<index_t>(device::block()) * tensor_rows_a_block + device::warp();
    if (row >= p.rows) {
        return;
    }
    const auto head = static_cast<int>(row % p.heads);
    const auto position = static_cast<int>(row / p.heads % p.positions);
    const auto sequence = static_cast<int>(row / p.heads / p.positions);
    const From* const from = p.from.row(sequence, position, head);
    To* const to = p.to.row(sequence, position, head);
    for (int column = device::lane(); column < p.head_dim; column += device::warp_size) {
        if constexpr (Adds) {
            to[column] += from[column];
        } else {
            to[column] = static_cast<To>(static_cast<float>(from[column]));
        }
    }
}

template <bool Adds, class From, class To>
void launch_tensor_rows(const work_stream& work, const tensor_view<const From, 4>& from, const tensor_view<To, 4>& to) {
    const auto& [sequences, positions, heads, head_dim] = to.extents;
    const index_t rows = sequences * positions * heads;
    const auto blocks = static_cast<int>((rows + tensor_rows_a_block - 1) / tensor_rows_a_block);
    launch(&tensor_rows_kernel<Adds, From, To>, blocks, tensor_rows_threads, 0, work.stream,
           tensor_rows_parameters<From, To>{tensor_of(from, 0), tensor_of(to, 0), rows, static_cast<int>(positions),
                                            static_cast<int>(heads), static_cast<int>(head_dim)});
}

// to = from, rounded if its type is another.
template <class From, class To>
void copy_rows(const work_stream& work, const tensor_view<const From, 4>& from, const tensor_view<To, 4>& to) {
    launch_tensor_rows<false>(work, from, to);
}
// to += from.
inline void add_rows(const work_stream& work, const tensor_view<const float, 4>& from,
                     const tensor_view<float, 4>& to) {
    launch_tensor_rows<true>(work, from, to);
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
