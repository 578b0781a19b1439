// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compiled once for every header, named by UNMASK_HEADER: it needs nothing before it, and a second time does no harm.

#include UNMASK_HEADER
#include UNMASK_HEADER // NOLINT

#if __has_include(<cuda_runtime.h>)
#error "the CUDA Toolkit is on the include path: this check shows nothing"
#endif
#if defined(DOCTEST_VERSION) || defined(CUDART_VERSION)
#error "a library header includes a test framework or CUDA"
#endif
