// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_rank_calls.inl"

template struct test::device_rank_calls<unmask::bfloat16, unmask::block_diffusion, unmask::no_sink>;
template struct test::device_rank_calls<unmask::bfloat16, unmask::block_diffusion, unmask::key_value_sink>;
