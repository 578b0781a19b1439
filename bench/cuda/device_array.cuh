// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <cuda_runtime.h>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>

namespace bench {

using unmask::index_t;
using unmask::detail::expect_success;

/// Memory of the GPU, of a fixed size.
template <class T>
class device_array {
public:
    explicit device_array(index_t size) : size_(size) {
        void* memory = nullptr;
        expect_success(cudaMalloc(&memory, bytes()), "cudaMalloc");
        memory_.reset(static_cast<T*>(memory));
    }
    explicit device_array(const std::vector<T>& values) : device_array(static_cast<index_t>(values.size())) {
        expect_success(cudaMemcpy(data(), values.data(), bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
    }

    [[nodiscard]] T* data() const { return memory_.get(); }
    [[nodiscard]] index_t size() const { return size_; }
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

    [[nodiscard]] std::vector<T> to_host() const {
        std::vector<T> values(static_cast<std::size_t>(size_));
        expect_success(cudaMemcpy(values.data(), data(), bytes(), cudaMemcpyDeviceToHost), "cudaMemcpy");
        return values;
    }

private:
    struct deleter {
        void operator()(T* memory) const { (void)cudaFree(memory); }
    };
    index_t size_;
    std::unique_ptr<T, deleter> memory_;
};

__host__ __device__ constexpr std::uint32_t hash(std::uint32_t word) {
    word = (word ^ (word >> 16)) * 0x7feb352dU;
    word = (word ^ (word >> 15)) * 0x846ca68bU;
    return word ^ (word >> 16);
}

namespace detail {

// Box–Muller, on the hashes of seed and place.
template <class T>
__global__ void fill_normal(T* values, index_t size, std::uint32_t seed) {
    const index_t place = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (place < size) {
        const std::uint32_t word = hash(hash(seed) ^ static_cast<std::uint32_t>(place));
        const float uniform = (static_cast<float>(word >> 8) + 0.5F) * 0x1p-24F;
        const float turn = static_cast<float>(hash(word + 1) >> 8) * 0x1p-24F;
        values[place] = T(sqrtf(-2.0F * logf(uniform)) * cospif(2.0F * turn));
    }
}

} // namespace detail

/// Random numbers of mean 0 and variance 1, the same for a seed.
template <class T>
device_array<T> normal_numbers(index_t size, std::uint32_t seed) {
    constexpr int threads = 256;
    device_array<T> result(size);
    if (size > 0) {
        const auto blocks = static_cast<unsigned>((size + threads - 1) / threads);
        detail::fill_normal<<<blocks, threads>>>(result.data(), size, seed);
        expect_success(cudaGetLastError(), "fill_normal");
    }
    return result;
}

} // namespace bench
