// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_rank_calls.inl"

template struct test::device_rank_calls<float, unmask::document, unmask::no_sink>;
template struct test::device_rank_calls<float, unmask::document, unmask::logit_sink>;
