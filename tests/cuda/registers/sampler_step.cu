// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sampler/device_divergence.cuh>
#include <unmask/sampler/device_gather.cuh>
#include <unmask/sampler/device_rank.cuh>
#include <unmask/sampler/device_select.cuh>
#include <unmask/sampler/schedule.hpp>
#include <unmask/sampler/score.hpp>
#include <unmask/sampler/selector.hpp>
#include <unmask/sampler/stop.hpp>

namespace gpu = unmask::detail::gpu;

template __global__ void gpu::plan_kernel(gpu::plan_parameters<unmask::cosine_steps, unmask::top_k>);
template __global__ void gpu::list_kernel<false>(gpu::device_state);
template __global__ void gpu::divergence_kernel(gpu::divergence_parameters<unmask::bfloat16>);
template __global__ void gpu::score_kernel(gpu::score_parameters<unmask::margin>);
template __global__ void gpu::rank_kernel<gpu::most_rank_items>(gpu::rank_parameters<unmask::top_k>);
template __global__ void gpu::merge_ranks_kernel(gpu::rank_parameters<unmask::top_k>);
template __global__ void gpu::select_kernel(gpu::select_parameters<unmask::top_k>);
