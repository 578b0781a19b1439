// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/block_order.cuh>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/forward_kernel.cuh>
#include <unmask/cuda/launch_plan.cuh>
#include <unmask/cuda/plain_forward_kernel.cuh>
#include <unmask/cuda/split_states.cuh>
#include <unmask/cuda/tile_plan.cuh>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// Forward on CUDA: which kernel, how keys are split, in which order blocks go.

UNMASK_NAMESPACE_BEGIN
namespace detail {
namespace gpu {

// Enqueues `kernel`, whose parameters begin with call, grid and states, and the merge of its parts.
template <class Parameters, class T>
void launch_forward(const cuda_executor& exec, void (*kernel)(Parameters), int threads, int shared_bytes,
                    Parameters parameters, const kernel_call<T>& call, int column_groups) {
    const index_t rows = split_states::rows(call);
    const index_t states = parameters.grid.parts > 1 ? parameters.grid.parts * rows : 0;
    const device_scratch scratch(exec, static_cast<std::size_t>(states * (call.head_dim + 1)) * sizeof(float));
    parameters.states.output = static_cast<float*>(scratch.data());
    parameters.states.log_sum_exp = parameters.states.output + states * call.head_dim;
    launch(kernel, parameters.grid.blocks() * column_groups, threads, static_cast<std::size_t>(shared_bytes),
           exec.stream, parameters);
    if (states > 0) {
        const auto blocks = static_cast<int>((rows + merge_warps - 1) / merge_warps);
        launch(&merge_kernel<T>, blocks, merge_threads, 0, exec.stream,
               merge_parameters<T>{call, parameters.states, parameters.grid.parts});
    }
}

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
void launch_on_tensor_cores(const cuda_executor& exec, const kernel_call<T>& call, const Mask& mask, const Sink& sink) {
    const block_grid grid = plan_grid(device_properties::current(), call, Plan::rows, Plan::keys, Plan::blocks,
                                      !std::same_as<Mask, bidirectional>);
    launch_forward(exec, &forward_kernel<Plan, T, Mask, Sink>, Plan::threads, forward_memory<Plan, Mask>::bytes,
                   forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink}, call, 1);
}

// True if one of the kernels for these head dimensions, in rising order, takes the call.
template <class T, mask_policy Mask, sink_policy Sink, int... HeadDims>
bool run_on_tensor_cores(const cuda_executor& exec, const kernel_call<T>& call, const Mask& mask, const Sink& sink,
                         head_dims<HeadDims...> /*kernels*/) {
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
                launch_on_tensor_cores<wide_plan<HeadDim>>(exec, call, mask, sink);
            } else {
                launch_on_tensor_cores<narrow_plan<HeadDim>>(exec, call, mask, sink);
            }
            return true;
        };
        return (run(std::integral_constant<int, HeadDims>{}) || ...);
    }
}

template <class T, mask_policy Mask, sink_policy Sink>
void run_plain(const cuda_executor& exec, const kernel_call<T>& call, const Mask& mask, const Sink& sink) {
    const int column_groups = std::max(1, tiles_of(call.head_dim, plain_columns));
    const block_grid grid =
        plan_grid(device_properties::current(), call, plain_rows, plain_keys, 2, !std::same_as<Mask, bidirectional>);
    launch_forward(exec, &plain_forward_kernel<T, Mask, Sink>, plain_threads, plain_forward_memory<Mask>::bytes,
                   plain_forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink, column_groups}, call,
                   column_groups);
}

} // namespace gpu

template <std::derived_from<cuda_executor> Executor, class T, mask_policy Mask, sink_policy Sink>
void forward_on(const Executor& exec, const attention_call<T>& call, const Mask& mask, const Sink& sink) {
    gpu::for_each_launch("attention_forward", call, [&](const gpu::kernel_call<T>& part, index_t /*first*/) {
        if (!gpu::run_on_tensor_cores(exec, part, mask, sink, typename Executor::kernels{})) {
            gpu::run_plain(exec, part, mask, sink);
        }
    });
}

} // namespace detail
UNMASK_NAMESPACE_END
