// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include "../../attention/matrix.hpp"
#include "device_problem.hpp"

// Backward that adds up the gradients of queries in any order, compared with the truth, and with what it must be to the
// bit.

namespace test {

// Notes the most that was in use at a time.
struct measuring_resource : device_memory_resource {
    std::size_t most = 0;
    std::size_t live = 0;

    void* allocate(std::size_t bytes, cuda_stream stream) override {
        live += bytes;
        most = std::max(most, live);
        return unmask::detail::allocate_async(bytes, stream);
    }
    void deallocate(void* memory, std::size_t bytes, cuda_stream stream) noexcept override {
        live -= bytes;
        unmask::detail::free_async(memory, stream);
    }
};

template <class Executor, class Sink>
struct any_order_check {
    using T = bfloat16;

    static problem<T> solved(const problem<T>& like, const any_mask& mask, const attention_options& options,
                             const auto& exec) {
        problem<T> result = like.fresh();
        const device_problem<T> device(result);
        const auto sink = device.template sink<Sink>();
        device_calls<T, any_mask, Sink>::forward({}, device.tensors(), mask, sink, options);
        device_calls<T, any_mask, Sink>::received({}, device.tensors(), device.received_view(), mask, sink, options);
        using gradients = device_gradients<T, any_mask, Sink, std::remove_cvref_t<decltype(exec)>>;
        gradients::backward(exec, device.tensors(), device.gradients(sink), mask, sink, options);
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
        device.fetch();
        return result;
    }

    // `mask` is the host's, `mask_of_kernels` the device's.
    static void run(const problem<T>& input, const any_mask& mask, const any_mask& mask_of_kernels,
                    const attention_options& options) {
        measuring_resource memory;
        Executor exec;
        exec.memory = &memory;
        const problem<T> got = solved(input, mask_of_kernels, options, exec);
        const problem<T> ordered = solved(input, mask_of_kernels, options, cuda_executor{});
        CHECK(judge(got, mask, got.template sink<Sink>(), options, true).passed());
        CHECK(same_bits(got.d_key, ordered.d_key));
        CHECK(same_bits(got.d_value, ordered.d_value));
        CHECK(same_bits(got.d_keys, ordered.d_keys));
        CHECK(same_bits(got.d_values, ordered.d_values));
        CHECK(memory.live == 0);
    }
};

// For every mask, and head dimensions below and at those that there are kernels for.
template <class Executor>
void check_any_order(const std::vector<index_t>& head_dims, unsigned seed) {
    std::mt19937 random(seed);
    for (const index_t head_dim : head_dims) {
        CAPTURE(head_dim);
        const std::vector<range> documents = some_documents(200);
        const device_array<range> documents_of_kernels(documents);
        const auto all = masks(200, documents);
        const auto of_kernels = masks(200, {documents_of_kernels.data(), documents.size()});
        for (std::size_t i = 0; i < all.size(); ++i) {
            const std::string& mask_name = all[i].first;
            CAPTURE(mask_name);
            attention_options options;
            options.query_offset = i % 2 == 0 ? 0 : 30;
            options.soft_cap = i % 3 == 0 ? 2.0F : 0.0F;
            const std::vector<index_t> queries{70, 33};
            const std::vector<index_t> keys{150, 65};
            if (i % 4 == 0) {
                options.query_lengths = queries;
                options.key_lengths = keys;
            }
            const problem<bfloat16> input({2, 70, 150, 2, 1, head_dim}, random);
            if (i % 2 == 0) {
                any_order_check<Executor, no_sink>::run(input, all[i].second, of_kernels[i].second, options);
            } else {
                any_order_check<Executor, key_value_sink>::run(input, all[i].second, of_kernels[i].second, options);
            }
        }
    }
}

} // namespace test
