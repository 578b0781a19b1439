// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/cuda/attention/backward_grid.cuh>
#include <unmask/cuda/attention/backward_keys_kernel.cuh>
#include <unmask/cuda/attention/backward_queries_kernel.cuh>
#include <unmask/cuda/attention/launch_plan.cuh>
#include <unmask/cuda/runtime/calls.cuh>

#include "backward_tensor_cores.hpp"

namespace test {

template <class T>
struct backward_launch {
    const unmask::detail::cuda::backward_call<T>& of;
    const any_mask& mask;

    // True if the kernels for this head dimension take the call.
    template <int HeadDim>
    bool run() const {
        using namespace unmask::detail::cuda;
        using keys = backward_keys_plan<HeadDim>;
        using queries = backward_queries_plan<HeadDim>;
        if (of.call.head_dim > HeadDim) {
            return false;
        }
        const auto gpu = unmask::detail::device_properties::current();
        if (of.d_key.data != nullptr || of.d_value.data != nullptr) {
            launch(backward_keys_kernel<keys, T, any_mask>, keys::threads, backward_keys_memory<keys>::bytes,
                   backward_keys_grid<keys>(gpu, of.call, 1, true));
        }
        if (of.d_query.data != nullptr) {
            launch(backward_queries_kernel<queries, T, any_mask>, queries::threads,
                   backward_queries_memory<queries>::bytes, backward_queries_grid<queries>(gpu, of.call, 1, true));
        }
        return true;
    }

private:
    template <class Parameters>
    void launch(void (*kernel)(Parameters), int threads, int bytes,
                const unmask::detail::cuda::block_grid& grid) const {
        unmask::detail::launch(kernel, grid.blocks(), threads, static_cast<std::size_t>(bytes), nullptr,
                               Parameters{of, grid, mask});
    }
};

template <class T, int... HeadDims>
void launch_backward_on_tensor_cores(problem<T>& solved, const any_mask& mask, const attention_options& options,
                                     bool sink_has_key) {
    using namespace unmask::detail::cuda;
    const shape& size = solved.size;
    const auto dim = solved.dim();
    const double scale =
        options.scale ? static_cast<double>(*options.scale) : 1.0 / std::sqrt(static_cast<double>(size.head_dim));
    std::vector<float> delta(solved.queries());
    std::vector<float> d_sink_scores(solved.queries());
    for (index_t b = 0; b < size.batch; ++b) {
        for (index_t head = 0; head < size.heads; ++head) {
            for (index_t query = 0; query < size.query_length; ++query) {
                const auto from = static_cast<std::size_t>((b * size.query_length + query) * size.heads + head) * dim;
                const auto to = static_cast<std::size_t>((b * size.heads + head) * size.query_length + query);
                const float* key =
                    solved.sink_keys.data() + static_cast<std::size_t>(head * size.kv_heads / size.heads) * dim;
                double sum = 0.0;
                double score = 0.0;
                for (std::size_t d = 0; d < dim; ++d) {
                    sum += static_cast<double>(static_cast<float>(solved.output[from + d])) *
                           static_cast<double>(static_cast<float>(solved.d_output[from + d]));
                    score += static_cast<double>(static_cast<float>(solved.query[from + d])) *
                             static_cast<double>(key[d]) * scale;
                }
                delta[to] = static_cast<float>(sum);
                double slope = 1.0;
                if (options.soft_cap > 0.0F) {
                    const double tanh = std::tanh(score / static_cast<double>(options.soft_cap));
                    score = tanh * static_cast<double>(options.soft_cap);
                    slope -= tanh * tanh;
                }
                d_sink_scores[to] =
                    static_cast<float>(-std::exp(score - static_cast<double>(solved.log_sum_exp[to])) * sum * slope);
            }
        }
    }

    const device_problem<T> device(solved);
    const device_array<T> d_output(solved.d_output);
    const device_array<T> d_query(solved.d_query);
    const device_array<T> d_key(solved.d_key);
    const device_array<T> d_value(solved.d_value);
    const device_array<float> device_delta(delta);
    const device_array<float> device_sink(d_sink_scores);
    const auto call = unmask::detail::resolve(device.tensors(), options);
    for_each_launch("backward", call, [&](const kernel_call<T>& part, index_t /*first*/) {
        backward_call<T> of{};
        of.call = part;
        const auto like = [](auto* data, const auto& tensor) {
            return unmask::detail::cuda::tensor{data, tensor.sequence_stride, tensor.position_stride,
                                                tensor.head_stride};
        };
        of.d_output = like(static_cast<const T*>(d_output.data()), part.query);
        of.d_query = like(d_query.data(), part.query);
        of.d_key = like(d_key.data(), part.key);
        of.d_value = like(d_value.data(), part.key);
        of.delta = device_delta.data();
        of.d_sink_scores = sink_has_key ? device_sink.data() : nullptr;
        of.sink_keys = sink_has_key ? device.sink_keys.data() : nullptr;
        const backward_launch<T> launch{of, mask};
        (void)(launch.template run<HeadDims>() || ...);
    });
    solved.d_query = d_query.to_host();
    solved.d_key = d_key.to_host();
    solved.d_value = d_value.to_host();
}

} // namespace test
