// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// As alone.cpp, for the headers that need nvcc.

#include UNMASK_HEADER
#include UNMASK_HEADER // NOLINT
