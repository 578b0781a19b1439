// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_calls.inl"

using any_order = unmask::nondeterministic<unmask::cuda_executor_for<64, 192>>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::no_sink, any_order>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::key_value_sink, any_order>;
