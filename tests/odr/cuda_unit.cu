// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiled several times, for different architectures and with another name for UNIT.

#include <unmask/cuda/attention/split_states.cuh>
#include <unmask/executor/cuda_executor.cuh>

#include "cuda_unit.hpp"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

using function = void (*)();

extern const cuda_unit UNIT{TEXT(UNMASK_ABI_NAMESPACE), reinterpret_cast<function>(unmask::detail::allocate_async),
                            reinterpret_cast<function>(unmask::detail::cuda::merge_kernel<float>)};
