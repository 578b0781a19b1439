// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/block_order.cuh>
#include <unmask/cuda/attention/forward_kernel.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/attention/plain_forward_kernel.cuh>
#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/cuda/attention/tile_plan.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// Forward on CUDA: which kernel, how keys are split, in which order blocks go.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// Enqueues `kernel`, whose parameters begin with call, grid and states, and the merge of its parts.
template <class Parameters, class T>
void launch_forward(const work_stream& work, void (*kernel)(Parameters), int threads, int shared_bytes,
                    Parameters parameters, const kernel_call<T>& call, int column_groups) {
    const index_t rows = split_states::rows(call);
    const index_t states = parameters.grid.parts > 1 ? parameters.grid.parts * rows : 0;
    const device_scratch scratch(work, static_cast<std::size_t>(states * (call.head_dim + 1)) * sizeof(float));
    parameters.states.output = static_cast<float*>(scratch.data());
    parameters.states.log_sum_exp = parameters.states.output + states * call.head_dim;
    launch(kernel, parameters.grid.blocks() * column_groups, threads, static_cast<std::size_t>(shared_bytes),
           work.stream, parameters);
    if (states > 0) {
        const auto blocks = static_cast<int>((rows + merge_warps - 1) / merge_warps);
        launch(&merge_kernel<T>, blocks, merge_threads, 0, work.stream,
               merge_parameters<T>{call, parameters.states, parameters.grid.parts});
    }
}

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
void launch_on_tensor_cores(const work_stream& work, const kernel_call<T>& call, const Mask& mask, const Sink& sink) {
    const block_grid grid = plan_grid(device_properties::current(), call, Plan::rows, Plan::keys, Plan::blocks,
                                      !std::same_as<Mask, bidirectional>);
    launch_forward(work, &forward_kernel<Plan, T, Mask, Sink>, Plan::threads, forward_memory<Plan, Mask>::bytes,
                   forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink}, call, 1);
}

// True if one of the kernels for these head dimensions, in rising order, takes the call.
template <class T, mask_policy Mask, sink_policy Sink, template <int...> class List, int... HeadDims>
bool run_on_tensor_cores(const work_stream& work, const kernel_call<T>& call, const Mask& mask, const Sink& sink,
                         List<HeadDims...> /*kernels*/) {
    if constexpr (std::same_as<T, float>) {
        return false;
    } else {
        if (!copies_16_bytes(call)) {
            return false;
        }
        const device_properties gpu = device_properties::current();
        const auto run = [&]<int HeadDim>(std::integral_constant<int, HeadDim>) {
            if (call.head_dim > HeadDim || forward_memory<wide_plan<HeadDim>, Mask>::bytes > gpu.shared_bytes_a_block ||
                !has_tensor_cores(&forward_kernel<wide_plan<HeadDim>, T, Mask, Sink>)) {
                return false;
            }
            if (call.query_length * call.group > narrow_plan<HeadDim>::rows) {
                launch_on_tensor_cores<wide_plan<HeadDim>>(work, call, mask, sink);
            } else {
                launch_on_tensor_cores<narrow_plan<HeadDim>>(work, call, mask, sink);
            }
            return true;
        };
        return (run(std::integral_constant<int, HeadDims>{}) || ...);
    }
}

template <class T, mask_policy Mask, sink_policy Sink>
void run_plain(const work_stream& work, const kernel_call<T>& call, const Mask& mask, const Sink& sink) {
    const int column_groups = std::max(1, tiles_of(call.head_dim, plain_columns));
    const block_grid grid =
        plan_grid(device_properties::current(), call, plain_rows, plain_keys, 2, !std::same_as<Mask, bidirectional>);
    launch_forward(work, &plain_forward_kernel<T, Mask, Sink>, plain_threads, plain_forward_memory<Mask>::bytes,
                   plain_forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink, column_groups}, call,
                   column_groups);
}

// Enqueues the forward pass, on kernels for these head dimensions.
template <class T, mask_policy Mask, sink_policy Sink, class HeadDims>
void run_forward(const work_stream& work, const attention_call<T>& call, const Mask& mask, const Sink& sink,
                 HeadDims kernels) {
    for_each_launch("attention_forward", call, [&](const kernel_call<T>& part, index_t /*first*/) {
        if (!run_on_tensor_cores(work, part, mask, sink, kernels)) {
            run_plain(work, part, mask, sink);
        }
    });
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
