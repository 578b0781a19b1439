// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A few calls of attention on the device against the CPU, with tails in every direction and split keys. Exits with 1 if
// one differs: see plant.py.

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/error.cuh>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/causal.hpp>

namespace {

using namespace unmask;

constexpr index_t heads = 4;
constexpr index_t kv_heads = 2;
constexpr index_t dim = 64;

template <class T>
attention_tensors<T> tensors_of(T* query, T* key, T* value, T* output, index_t queries, index_t keys) {
    return {.query = view(query, 1, queries, heads, dim),
            .key = view(key, 1, keys, kv_heads, dim),
            .value = view(value, 1, keys, kv_heads, dim),
            .output = view(output, 1, queries, heads, dim)};
}

template <class T, class Mask>
bool is_same(index_t queries, index_t keys, const Mask& mask) {
    const auto query_size = static_cast<std::size_t>(queries * heads * dim);
    const auto key_size = static_cast<std::size_t>(keys * kv_heads * dim);
    std::vector<T> host[4]{std::vector<T>(query_size), std::vector<T>(key_size), std::vector<T>(key_size),
                           std::vector<T>(query_size)};
    T* device[4];
    unsigned state = 1;
    for (int i = 0; i < 4; ++i) {
        for (T& x : host[i]) {
            state = state * 1664525U + 1013904223U;
            x = T(static_cast<float>(static_cast<int>(state >> 16)) / 32768.0F - 1.0F);
        }
        const std::size_t bytes = host[i].size() * sizeof(T);
        (void)cudaMalloc(reinterpret_cast<void**>(&device[i]), bytes);
        (void)cudaMemcpy(device[i], host[i].data(), bytes, cudaMemcpyHostToDevice);
    }
    attention_forward(cuda_executor{}, tensors_of(device[0], device[1], device[2], device[3], queries, keys), mask);
    const cudaError_t code = cudaDeviceSynchronize();
    attention_forward(cpu_executor{1},
                      tensors_of(host[0].data(), host[1].data(), host[2].data(), host[3].data(), queries, keys), mask);
    std::vector<T> got(query_size);
    (void)cudaMemcpy(got.data(), device[3], query_size * sizeof(T), cudaMemcpyDeviceToHost);
    int wrong = 0;
    for (std::size_t i = 0; i < query_size; ++i) {
        wrong += std::fabs(static_cast<float>(got[i]) - static_cast<float>(host[3][i])) < 0.01F ? 0 : 1; // NaN is wrong
    }
    for (T* const each : device) {
        (void)cudaFree(each);
    }
    std::printf("%d of %zu numbers differ, error %d\n", wrong, query_size, static_cast<int>(code));
    return code == cudaSuccess && wrong == 0;
}

} // namespace

int main() {
    try {
        const bool first = is_same<bfloat16>(75, 150, causal{});
        const bool second = is_same<bfloat16>(9, 1000, bidirectional{}); // keys are split
        const bool third = is_same<float16>(130, 70, bidirectional{});
        return first && second && third ? 0 : 1;
    } catch (const cuda_error& error) { // after a fault
        std::puts(error.what());
        return 1;
    }
}
