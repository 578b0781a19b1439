// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiled once for every header, named by UNMASK_HEADER: it needs nothing before it, and a second time does no harm.

#include UNMASK_HEADER
#include UNMASK_HEADER // NOLINT

#if defined(CUDART_VERSION) || defined(__CUDA_RUNTIME_H__)
#error "a header for host compilers includes CUDA"
#endif
