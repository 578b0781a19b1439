// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_calls.inl"

template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::no_sink>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::off_by_one_sink>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::logit_sink>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::key_sink>;
template struct test::device_gradients<unmask::bfloat16, test::any_mask, unmask::key_value_sink>;
