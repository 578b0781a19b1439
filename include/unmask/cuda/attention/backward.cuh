// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/cuda/attention/backward_call.cuh>
#include <unmask/cuda/attention/backward_grid.cuh>
#include <unmask/cuda/attention/backward_keys_kernel.cuh>
#include <unmask/cuda/attention/backward_plan.cuh>
#include <unmask/cuda/attention/backward_queries_kernel.cuh>
#include <unmask/cuda/attention/backward_rows_kernel.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/attention/plain_backward_keys_kernel.cuh>
#include <unmask/cuda/attention/plain_backward_queries_kernel.cuh>
#include <unmask/cuda/attention/plain_backward_tile.cuh>
#include <unmask/cuda/attention/query_sums.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/numeric/detail/integers.hpp>
#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/attention_call.hpp>

// Backward on CUDA: its scratch memory, and its kernels in a row.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The scratch memory of a call, in one piece.
template <class T, sink_policy Sink>
class backward_memory {
public:
    backward_memory(const work_stream& work, const attention_call<T>& call)
        : rows_(call.batch * call.heads * call.query_length),
          shares_(Sink::present
                      ? call.batch * call.heads * tiles(call) * sink_share_size(static_cast<int>(call.head_dim))
                      : 0),
          sink_keys_(Sink::has_key ? call.kv_heads * call.head_dim : 0),
          scratch_(work,
                   static_cast<std::size_t>(rows_ * (Sink::has_key ? 2 : 1) + shares_ + sink_keys_) * sizeof(float)) {}

    [[nodiscard]] float* delta() const { return static_cast<float*>(scratch_.data()); }
    [[nodiscard]] float* shares() const { return delta() + rows_; }
    [[nodiscard]] float* sink_keys() const { return Sink::has_key ? shares() + shares_ : nullptr; }
    [[nodiscard]] float* d_sink_scores() const { return Sink::has_key ? sink_keys() + sink_keys_ : nullptr; }

    static index_t tiles(const attention_call<T>& call) {
        return (call.query_length + backward_rows - 1) / backward_rows;
    }

private:
    index_t rows_;
    index_t shares_;
    index_t sink_keys_;
    device_scratch scratch_;
};

template <class T, class Gradient, sink_policy Sink>
backward_call<T, Gradient> backward_call_of(const kernel_call<T>& part, const attention_call<T>& call,
                                            const attention_call_gradients<T, Gradient>& gradients, index_t first,
                                            const backward_memory<T, Sink>& memory) {
    backward_call<T, Gradient> of{};
    of.call = part;
    of.d_output = tensor_of(gradients.output, first);
    of.d_query = gradients.query.empty() ? tensor<Gradient>{} : tensor_of(gradients.query, first);
    of.d_key = gradients.key.empty() ? tensor<Gradient>{} : tensor_of(gradients.key, first);
    of.d_value = gradients.value.empty() ? tensor<Gradient>{} : tensor_of(gradients.value, first);
    const index_t rows = first * call.heads * call.query_length;
    of.delta = memory.delta() + rows;
    of.d_sink_scores = Sink::has_key ? memory.d_sink_scores() + rows : nullptr;
    of.sink_keys = memory.sink_keys();
    return of;
}

template <class Plan, class T, class Gradient, mask_policy Mask>
int resident_keys_blocks(const device_properties& gpu) {
    return resident_blocks(gpu, &backward_keys_kernel<Plan, T, Mask, Gradient>, Plan::threads,
                           backward_keys_memory<Plan>::bytes);
}
template <class Plan, class T, class Gradient, mask_policy Mask>
int resident_queries_blocks(const device_properties& gpu) {
    return resident_blocks(gpu, &backward_queries_kernel<Plan, T, Mask, Gradient>, Plan::threads,
                           backward_queries_memory<Plan>::bytes);
}

template <class Plan, class T, class Gradient, mask_policy Mask>
void launch_backward_keys(const work_stream& work, const device_properties& gpu, int resident,
                          const backward_call<T, Gradient>& of, const Mask& mask) {
    const block_grid grid = backward_keys_grid<Plan>(gpu, of.call, resident, !std::same_as<Mask, bidirectional>);
    launch(&backward_keys_kernel<Plan, T, Mask, Gradient>, grid.blocks(), Plan::threads,
           backward_keys_memory<Plan>::bytes, work.stream, backward_parameters<T, Mask, Gradient>{of, grid, mask});
}
template <class Plan, class T, class Gradient, mask_policy Mask>
void launch_backward_queries(const work_stream& work, const device_properties& gpu, int resident,
                             const backward_call<T, Gradient>& of, const Mask& mask) {
    const block_grid grid = backward_queries_grid<Plan>(gpu, of.call, resident, !std::same_as<Mask, bidirectional>);
    launch(&backward_queries_kernel<Plan, T, Mask, Gradient>, grid.blocks(), Plan::threads,
           backward_queries_memory<Plan>::bytes, work.stream, backward_parameters<T, Mask, Gradient>{of, grid, mask});
}

// All gradients, those of queries added up by blocks of keys in any order.
template <class Plan, class T, mask_policy Mask>
void run_backward_with_query_sums(const work_stream& work, const device_properties& gpu, int resident,
                                  backward_call<T> of, const Mask& mask) {
    using sums = query_sums<Plan>;
    const std::size_t bytes = static_cast<std::size_t>(sums::size(of.call)) * sizeof(float);
    const device_scratch memory(work, bytes);
    of.query_sums = static_cast<float*>(memory.data());
    clear_device(memory.data(), bytes, work.stream);
    launch_backward_keys<Plan>(work, gpu, resident, of, mask);
    const int tiles = tiles_of(of.call.query_length, sums::queries);
    launch(&query_gradients_kernel<Plan, T>, of.call.sequences * of.call.kv_heads * of.call.group * tiles,
           Plan::threads, 0, work.stream, of);
}

// True if the kernels for this head dimension take the call.
template <int HeadDim, bool Deterministic, class T, class Gradient, mask_policy Mask>
bool run_backward_head_dim(const work_stream& work, const backward_call<T, Gradient>& of, const Mask& mask) {
    using keys_plan = backward_keys_plan<HeadDim>;
    using small_keys_plan = small_backward_keys_plan<HeadDim>;
    using queries_plan = backward_queries_plan<HeadDim>;
    using small_queries_plan = small_backward_queries_plan<HeadDim>;
    if (of.call.head_dim > HeadDim || !has_tensor_cores(&backward_keys_kernel<keys_plan, T, Mask, Gradient>)) {
        return false;
    }
    const device_properties gpu = device_properties::current();
    const int keys = resident_keys_blocks<keys_plan, T, Gradient, Mask>(gpu);
    const int small_keys = keys > 1 ? 0 : resident_keys_blocks<small_keys_plan, T, Gradient, Mask>(gpu);
    const int queries = resident_queries_blocks<queries_plan, T, Gradient, Mask>(gpu);
    const int small_queries = queries > 1 ? 0 : resident_queries_blocks<small_queries_plan, T, Gradient, Mask>(gpu);
    if (keys + small_keys == 0 || queries + small_queries == 0) {
        return false;
    }
    if constexpr (!Deterministic) {
        using summing_plan = with_query_sums<keys_plan>;
        const int summing = resident_keys_blocks<summing_plan, T, Gradient, Mask>(gpu);
        const int enough = std::min(std::max({keys, small_keys, 1}), summing_plan::blocks); // registers are for no more
        if (summing >= enough && of.d_query.data != nullptr && of.d_key.data != nullptr) {
            run_backward_with_query_sums<summing_plan>(work, gpu, summing, of, mask);
            return true;
        }
    }
    if (of.d_key.data != nullptr || of.d_value.data != nullptr) {
        if (small_keys > keys) {
            launch_backward_keys<small_keys_plan>(work, gpu, small_keys, of, mask);
        } else {
            launch_backward_keys<keys_plan>(work, gpu, keys, of, mask);
        }
    }
    if (of.d_query.data != nullptr) {
        if (small_queries > queries) {
            launch_backward_queries<small_queries_plan>(work, gpu, small_queries, of, mask);
        } else {
            launch_backward_queries<queries_plan>(work, gpu, queries, of, mask);
        }
    }
    return true;
}

// True if one of the kernels for these head dimensions, in rising order, takes the call.
template <bool Deterministic, class T, class Gradient, mask_policy Mask, template <int...> class List, int... HeadDims>
bool run_backward_on_tensor_cores(const work_stream& work, const backward_call<T, Gradient>& of, const Mask& mask,
                                  List<HeadDims...> /*kernels*/) {
    if constexpr (std::same_as<T, float>) {
        return false;
    } else {
        return copies_16_bytes(of.call) && queries_of_16_bytes(of.call, of.d_output, of.d_query) &&
               keys_of_16_bytes(of.call, of.d_key, of.d_value) &&
               (run_backward_head_dim<HeadDims, Deterministic>(work, of, mask) || ...);
    }
}

template <class T, class Gradient, mask_policy Mask>
void run_plain_backward(const work_stream& work, const backward_call<T, Gradient>& of, const Mask& mask) {
    const kernel_call<T>& call = of.call;
    plain_backward_parameters<T, Mask, Gradient> parameters{
        of, mask, {}, std::max(1, tiles_of(call.head_dim, plain_columns))};
    if (of.d_key.data != nullptr || of.d_value.data != nullptr) {
        const int blocks = call.sequences * call.kv_heads * tiles_of(call.key_length, plain_keys);
        launch(&plain_backward_keys_kernel<T, Mask, Gradient>, blocks * parameters.column_groups, plain_threads,
               plain_backward_keys_memory::bytes, work.stream, parameters);
    }
    if (of.d_query.data != nullptr) {
        const device_properties gpu = device_properties::current();
        const auto kernel = &plain_backward_queries_kernel<T, Mask, Gradient>;
        const int resident = resident_blocks(gpu, kernel, plain_threads, plain_backward_queries_memory::bytes);
        parameters.grid = plan_grid(gpu, call, plain_rows, plain_keys, resident, !std::same_as<Mask, bidirectional>);
        parameters.grid.parts = 1; // keys are not split: every row is summed by one block
        launch(kernel, parameters.grid.blocks() * parameters.column_groups, plain_threads,
               plain_backward_queries_memory::bytes, work.stream, parameters);
    }
}

template <class T, class Gradient, sink_policy Sink>
void run_sink_gradients(const work_stream& work, const attention_call<T>& call,
                        const attention_call_gradients<T, Gradient>& gradients,
                        const backward_memory<T, Sink>& memory) {
    const bool wanted =
        !gradients.sink_logits.empty() || !gradients.sink_keys.empty() || !gradients.sink_values.empty();
    if (wanted) {
        launch(&sink_gradient_kernel<sink_gradient_parameters>, static_cast<int>(call.heads), 128, 0, work.stream,
               sink_gradient_parameters{memory.shares(), static_cast<int>(call.batch), static_cast<int>(call.heads),
                                        static_cast<int>(call.group()), static_cast<int>(memory.tiles(call)),
                                        static_cast<int>(call.head_dim), call.scale, gradients.sink_logits.data,
                                        gradients.sink_keys.data, gradients.sink_keys.strides[0],
                                        gradients.sink_values.data, gradients.sink_values.strides[0]});
    }
}

// Enqueues the backward pass, on kernels for these head dimensions.
template <bool Deterministic, class T, class Gradient, mask_policy Mask, sink_policy Sink, class HeadDims>
void run_backward(const work_stream& work, const attention_call<T>& call,
                  const attention_call_gradients<T, Gradient>& gradients, const Mask& mask, const Sink& sink,
                  HeadDims kernels) {
    const backward_memory<T, Sink> memory(work, call);
    for_each_launch("attention_backward", call, [&](const kernel_call<T>& part, index_t first) {
        const backward_call<T, Gradient> of = backward_call_of(part, call, gradients, first, memory);
        const int tiles = tiles_of(part.query_length, backward_rows);
        const index_t shares =
            first * call.heads * tiles * sink_share_size(part.head_dim); // of the sequences before these
        launch(
            &backward_rows_kernel<T, Sink, Gradient>, part.sequences * part.kv_heads * part.group * tiles,
            backward_rows_threads, backward_rows_bytes, work.stream,
            backward_rows_parameters<T, Sink, Gradient>{of, sink, Sink::present ? memory.shares() + shares : nullptr});
        if (!run_backward_on_tensor_cores<Deterministic>(work, of, mask, kernels)) {
            run_plain_backward(work, of, mask);
        }
    });
    if constexpr (Sink::present) {
        run_sink_gradients(work, call, gradients, memory);
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
