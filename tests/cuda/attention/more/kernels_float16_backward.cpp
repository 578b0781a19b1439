// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "../device_calls.inl"

template struct test::device_gradients<unmask::float16, test::any_mask, unmask::key_value_sink>;
