// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "calls.inl"

template struct test::cpu_calls<unmask::float16, test::any_mask, unmask::no_sink>;
