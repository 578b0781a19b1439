// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../device_calls.inl"

template struct test::device_calls<unmask::bfloat16, test::any_mask, unmask::off_by_one_sink>;
