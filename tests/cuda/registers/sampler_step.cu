// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sampler/detail/device/divergence.cuh>
#include <unmask/sampler/detail/device/gather.cuh>
#include <unmask/sampler/detail/device/rank.cuh>
#include <unmask/sampler/detail/device/select.cuh>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/stop/stop.hpp>

namespace kernels = unmask::detail::cuda;

template __global__ void kernels::plan_kernel(kernels::plan_parameters<unmask::cosine_steps, unmask::top_k>);
template __global__ void kernels::list_kernel<false>(kernels::list_parameters<unmask::bfloat16>);
template __global__ void kernels::divergence_kernel(kernels::divergence_parameters<unmask::bfloat16>);
template __global__ void kernels::score_kernel(kernels::score_parameters<unmask::margin>);
template __global__ void kernels::rank_kernel<kernels::most_rank_items>(kernels::rank_parameters<unmask::top_k>);
template __global__ void kernels::merge_ranks_kernel(kernels::rank_parameters<unmask::top_k>);
template __global__ void kernels::select_kernel(kernels::select_parameters<unmask::top_k>);
extern "C" __device__ int divergence_kernel_asks = kernels::divergence_warps * sizeof(float);
extern "C" __device__ int rank_kernel_asks =
    unmask::detail::device::sort_bytes<kernels::rank_threads, kernels::most_rank_items>();
