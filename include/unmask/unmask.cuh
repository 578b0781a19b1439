// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file
/// Everything in unmask.hpp, and the same on CUDA by a cuda_executor, but for parallel/nccl.cuh, which needs NCCL. All
/// of it needs nvcc.

#include <unmask/unmask.hpp>

#include <unmask/attention/attention.cuh>
#include <unmask/error.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/parallel/attention.cuh>
#include <unmask/parallel/device_communicator.cuh>
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/sampler/row_statistics.cuh>
#include <unmask/sampler/sampler.cuh>
#include <unmask/tensor/device_memory.cuh>
