// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>

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

// Rows go to the output; of split keys, when their parts are merged.
struct rows_to_output {
    static constexpr bool want_states = false;

    template <class T>
    void take(const work_stream& work, const kernel_call<T>& call, const split_states& states, int parts) const {
        launch(&merge_kernel<T>, merge_blocks(call), merge_threads, 0, work.stream,
               merge_parameters<T>{call, states, parts});
    }
};

// Enqueues `kernel`, whose parameters begin with call, grid and states, and what becomes of the states.
template <class Parameters, class T, class Rows>
void launch_forward(const work_stream& work, void (*kernel)(Parameters), int threads, int shared_bytes,
                    Parameters parameters, const kernel_call<T>& call, int column_groups, const Rows& rows) {
    const bool keeps = Rows::want_states || parameters.grid.parts > 1;
    const index_t states = keeps ? parameters.grid.parts * split_states::rows(call) : 0;
    const device_scratch scratch(work, static_cast<std::size_t>(states * (call.head_dim + 1)) * sizeof(float));
    parameters.states.output = static_cast<float*>(scratch.data());
    parameters.states.log_sum_exp = parameters.states.output + states * call.head_dim;
    launch(kernel, parameters.grid.blocks() * column_groups, threads, static_cast<std::size_t>(shared_bytes),
           work.stream, parameters);
    if (states > 0) {
        rows.take(work, call, parameters.states, parameters.grid.parts);
    }
}

template <class Plan, class T, mask_policy Mask, sink_policy Sink>
int resident_blocks_of(const device_properties& gpu) {
    return resident_blocks(gpu, &forward_kernel<Plan, T, Mask, Sink>, Plan::threads, forward_memory<Plan>::bytes);
}

template <class Plan, class T, mask_policy Mask, sink_policy Sink, class Rows>
void launch_on_tensor_cores(const work_stream& work, const device_properties& gpu, int resident,
                            const kernel_call<T>& call, const Mask& mask, const Sink& sink, const Rows& rows) {
    const block_grid grid = plan_grid(gpu, call, Plan::rows, Plan::keys, resident, !std::same_as<Mask, bidirectional>);
    launch_forward(work, &forward_kernel<Plan, T, Mask, Sink>, Plan::threads, forward_memory<Plan>::bytes,
                   forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink}, call, 1, rows);
}

// True if the kernels for this head dimension take the call.
template <int HeadDim, class T, mask_policy Mask, sink_policy Sink, class Rows>
bool run_head_dim(const work_stream& work, const device_properties& gpu, const kernel_call<T>& call, const Mask& mask,
                  const Sink& sink, const Rows& rows) {
    using wide = wide_plan<HeadDim>;
    using narrow = narrow_plan<HeadDim>;
    if (call.head_dim > HeadDim || !has_tensor_cores(&forward_kernel<wide, T, Mask, Sink>)) {
        return false;
    }
    const bool few_rows = call.query_length * call.group <= narrow::rows;
    const int wide_blocks = few_rows ? 0 : resident_blocks_of<wide, T, Mask, Sink>(gpu);
    // A wide block that is alone gives each scheduler one warp, and nothing to do while that waits. Of more than 64
    // columns it is, where a multiprocessor has 100 KB of shared memory (8.6, 8.9, 12.0); of up to 128, narrow ones fit
    // twice there.
    const int narrow_blocks = wide_blocks > 1 ? 0 : resident_blocks_of<narrow, T, Mask, Sink>(gpu);
    if (narrow_blocks > wide_blocks) {
        launch_on_tensor_cores<narrow>(work, gpu, narrow_blocks, call, mask, sink, rows);
    } else if (wide_blocks > 0) {
        launch_on_tensor_cores<wide>(work, gpu, wide_blocks, call, mask, sink, rows);
    }
    return narrow_blocks + wide_blocks > 0;
}

// True if one of the kernels for these head dimensions, in rising order, takes the call.
template <class T, mask_policy Mask, sink_policy Sink, template <int...> class List, int... HeadDims, class Rows>
bool run_on_tensor_cores(const work_stream& work, const device_properties& gpu, const kernel_call<T>& call,
                         const Mask& mask, const Sink& sink, List<HeadDims...> /*kernels*/, const Rows& rows) {
    if constexpr (std::same_as<T, float>) {
        return false;
    } else {
        return copies_16_bytes(call) && (run_head_dim<HeadDims>(work, gpu, call, mask, sink, rows) || ...);
    }
}

template <class T, mask_policy Mask, sink_policy Sink, class Rows>
void run_plain(const work_stream& work, const device_properties& gpu, const kernel_call<T>& call, const Mask& mask,
               const Sink& sink, const Rows& rows) {
    const auto kernel = &plain_forward_kernel<T, Mask, Sink>;
    const int column_groups = std::max(1, tiles_of(call.head_dim, plain_columns));
    const int resident = resident_blocks(gpu, kernel, plain_threads, plain_forward_memory::bytes);
    const block_grid grid = plan_grid(gpu, call, plain_rows, plain_keys, resident, !std::same_as<Mask, bidirectional>);
    launch_forward(work, kernel, plain_threads, plain_forward_memory::bytes,
                   plain_forward_parameters<T, Mask, Sink>{call, grid, {}, mask, sink, column_groups}, call,
                   column_groups, rows);
}

// Enqueues one launch of the forward pass, on kernels for these head dimensions.
template <class T, mask_policy Mask, sink_policy Sink, class HeadDims, class Rows>
void run_launch(const work_stream& work, const kernel_call<T>& call, const Mask& mask, const Sink& sink,
                HeadDims kernels, const Rows& rows) {
    const device_properties gpu = device_properties::current();
    if (!run_on_tensor_cores(work, gpu, call, mask, sink, kernels, rows)) {
        run_plain(work, gpu, call, mask, sink, rows);
    }
}

// Enqueues the forward pass.
template <class T, mask_policy Mask, sink_policy Sink, class HeadDims>
void run_forward(const work_stream& work, const attention_call<T>& call, const Mask& mask, const Sink& sink,
                 HeadDims kernels) {
    for_each_launch("attention_forward", call, [&](const kernel_call<T>& part, index_t /*first*/) {
        run_launch(work, part, mask, sink, kernels, rows_to_output{});
    });
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
