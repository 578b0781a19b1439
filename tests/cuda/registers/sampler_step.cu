// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sampler/detail/device/divergence.cuh>
#include <unmask/sampler/detail/device/gather.cuh>
#include <unmask/sampler/detail/device/rank.cuh>
#include <unmask/sampler/detail/device/select.cuh>
#include <unmask/sampler/schedule/schedule.hpp>
#include <unmask/sampler/score/score.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/stop/stop.hpp>

namespace cuda = unmask::detail::cuda;

template __global__ void cuda::plan_kernel(cuda::plan_parameters<unmask::cosine_steps, unmask::top_k>);
template __global__ void cuda::list_kernel<false>(cuda::device_state);
template __global__ void cuda::divergence_kernel(cuda::divergence_parameters<unmask::bfloat16>);
template __global__ void cuda::score_kernel(cuda::score_parameters<unmask::margin>);
template __global__ void cuda::rank_kernel<cuda::most_rank_items>(cuda::rank_parameters<unmask::top_k>);
template __global__ void cuda::merge_ranks_kernel(cuda::rank_parameters<unmask::top_k>);
template __global__ void cuda::select_kernel(cuda::select_parameters<unmask::top_k>);
