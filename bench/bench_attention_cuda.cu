// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string_view>

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <unmask/cuda/runtime/calls.cuh>

#include "cuda/cases.hpp"
#include "cuda/describe_gpu.cuh"
#include "support/options.hpp"

// Attention on a GPU: the cases, names and counters of bench_attention, with these differences. Time is the GPU's own,
// between CUDA events, and every call finds its inputs outside the caches.
//
//   peak_fraction        of what mma.sync reaches with bfloat16 on the same GPU, measured just before
//   bandwidth            bytes of inputs and outputs a second, each counted once
//   bandwidth_fraction   that, of what reading or copying memory reaches, measured just before
//   visited_tiles        of the whole batch
//   extra_mib            the most memory of the GPU that one call took
//
// --dump=FOLDER writes into a folder what the last case read and wrote: query.bf16, key.bf16, value.bf16, output.bf16,
// and of backward d_output.bf16 and so on, as they are in memory (fp16 and fp32 likewise), and visible.u8. Without a
// GPU nothing is run.

namespace {

using unmask::detail::expect_success;

// Freed memory stays with the process, as in programs that call attention again and again.
void keep_freed_memory() {
    int device = 0;
    cudaMemPool_t pool{};
    std::uint64_t all = UINT64_MAX;
    expect_success(cudaGetDevice(&device), "cudaGetDevice");
    expect_success(cudaDeviceGetDefaultMemPool(&pool, device), "cudaDeviceGetDefaultMemPool");
    expect_success(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all), "cudaMemPoolSetAttribute");
}

} // namespace

int main(int argc, char** argv) {
    constexpr std::string_view dump = "--dump=";
    benchmark::Initialize(&argc, argv);
    bench::options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (!argument.starts_with(dump)) {
            std::fprintf(stderr, "bench_attention_cuda: cannot read %s\n", argv[i]);
            return 1;
        }
        options.dump = argument.substr(dump.size());
    }
    int gpus = 0;
    if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
        std::fputs("bench_attention_cuda: no GPU\n", stderr);
        return 0;
    }
    try {
        bench::describe_gpu();
        keep_freed_memory();
        bench::cuda::add_forward_bidirectional(options);
        bench::cuda::add_forward_blocks(options);
        bench::cuda::add_forward_masks(options);
        bench::cuda::add_forward_sinks(options);
        bench::cuda::add_forward_types(options);
        bench::cuda::add_received(options);
        bench::cuda::add_backward(options);
        benchmark::RunSpecifiedBenchmarks();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_attention_cuda: %s\n", error.what());
        return 1;
    }
    return 0;
}
