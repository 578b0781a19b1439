// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Everything that unmask.hpp has, and the same on CUDA: cuda_executor. Needs nvcc.

#include <unmask/unmask.hpp>

#include <unmask/cuda/attention_forward.cuh>
#include <unmask/cuda/attention_received.cuh>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/row_statistics.cuh>
#include <unmask/sampler/device_sampler.cuh>
