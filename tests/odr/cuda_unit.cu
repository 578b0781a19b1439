// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiled several times, for different architectures and with another name for UNIT.

#include <unmask/unmask.cuh>

#include "cuda_unit.hpp"

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

extern const cuda_unit UNIT{TEXT(UNMASK_ABI_NAMESPACE), reinterpret_cast<void (*)()>(unmask::detail::allocate_async)};
