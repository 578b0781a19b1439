// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "peaks.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <cuda_runtime.h>

#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/tensor/float_types.hpp>

#include "device_array.cuh"
#include "timer.cuh"

namespace bench {

namespace {

constexpr int threads = 256;
constexpr int blocks_a_multiprocessor = 4;
constexpr int chains = 8; // enough to hide the latency
constexpr double flops_a_product = 2.0 * 16 * 8 * 16;

// Two bfloat16 of either sign, 1 to 2: with zeros, the tensor cores would draw less power and be faster.
__device__ std::uint32_t pair_of_numbers(std::uint32_t seed) {
    return 0x3f803f80U | (hash(seed) & 0x807f807fU);
}

__global__ void __launch_bounds__(threads, blocks_a_multiprocessor) multiply_add_chains(float* sums, int steps) {
    const std::uint32_t thread = blockIdx.x * threads + threadIdx.x;
    float c[chains][4]{};
    std::uint32_t a[4];
    std::uint32_t b[chains][2];
    for (std::uint32_t i = 0; i < 4; ++i) {
        a[i] = pair_of_numbers(32 * thread + i);
    }
    for (std::uint32_t i = 0; i < chains; ++i) {
        b[i][0] = pair_of_numbers(32 * thread + 4 + 2 * i);
        b[i][1] = pair_of_numbers(32 * thread + 5 + 2 * i);
    }
    for (int step = 0; step < steps; ++step) {
#pragma unroll
        for (int i = 0; i < chains; ++i) {
            unmask::detail::device::multiply_add<unmask::bfloat16>(c[i], a, b[i][0], b[i][1]);
        }
    }
    float sum = 0.0F;
    for (const auto& each : c) {
        sum += each[0] + each[1] + each[2] + each[3];
    }
    sums[thread] = sum;
}

__global__ void read_all(const uint4* memory, index_t size, std::uint32_t* never_written) {
    const index_t step = static_cast<index_t>(gridDim.x) * blockDim.x;
    std::uint32_t bits = 0;
#pragma unroll 8
    for (index_t i = static_cast<index_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += step) {
        const uint4 four = memory[i];
        bits |= four.x | four.y | four.z | four.w;
    }
    if (bits != 0) { // or the compiler would leave out the reads
        *never_written = bits;
    }
}

} // namespace

peaks measure_peaks() {
    constexpr int steps = 16384;
    const int multiprocessors = unmask::detail::device_properties::current().multiprocessors;
    const int blocks = multiprocessors * blocks_a_multiprocessor;
    const device_array<float> sums(index_t{blocks} * threads);
    const device_array<std::byte> memory(index_t{1} << 30);
    const device_array<std::uint32_t> never_written(1);
    expect_success(cudaMemset(memory.data(), 0, memory.bytes()), "cudaMemset");

    const gpu_timer timer;
    peaks best{};
    for (int round = 0; round < 5; ++round) {
        const double multiplying = timer.seconds([&] {
            multiply_add_chains<<<blocks, threads>>>(sums.data(), steps);
            expect_success(cudaGetLastError(), "multiply_add_chains");
        });
        const double reading = timer.seconds([&] {
            read_all<<<2 * blocks, threads>>>(reinterpret_cast<const uint4*>(memory.data()),
                                              memory.size() / static_cast<index_t>(sizeof(uint4)),
                                              never_written.data());
            expect_success(cudaGetLastError(), "read_all");
        });
        const double copying = timer.seconds([&] {
            expect_success(cudaMemcpyAsync(memory.data(), memory.data() + memory.size() / 2, memory.bytes() / 2,
                                           cudaMemcpyDeviceToDevice),
                           "cudaMemcpyAsync");
        });
        const double products = static_cast<double>(blocks) * (threads / 32) * chains * steps;
        best.flops = std::max(best.flops, products * flops_a_product / multiplying);
        best.bytes = std::max(best.bytes, static_cast<double>(memory.bytes()) / std::min(reading, copying));
    }
    return best;
}

} // namespace bench
