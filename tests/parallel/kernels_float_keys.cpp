// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "rank_calls.inl"

template struct test::cpu_calls<float, test::any_mask, unmask::key_sink>;
template struct test::rank_calls<float, unmask::key_sink>;
template struct test::cpu_calls<float, test::any_mask, unmask::key_value_sink>;
template struct test::rank_calls<float, unmask::key_value_sink>;
