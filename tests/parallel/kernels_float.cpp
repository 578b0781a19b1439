// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "rank_calls.inl"

template struct test::cpu_calls<float, test::any_mask, unmask::no_sink>;
template struct test::rank_calls<float, unmask::no_sink>;
template struct test::cpu_calls<float, test::any_mask, unmask::off_by_one_sink>;
template struct test::rank_calls<float, unmask::off_by_one_sink>;
template struct test::cpu_calls<float, test::any_mask, unmask::logit_sink>;
template struct test::rank_calls<float, unmask::logit_sink>;
