// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_calls.inl"

// A mask that cannot list its rows.
template struct test::device_calls<unmask::bfloat16, unmask::predicate<test::every_third>, unmask::no_sink>;
template struct test::device_calls<float, unmask::predicate<test::every_third>, unmask::no_sink>;
template struct test::device_gradients<unmask::bfloat16, unmask::predicate<test::every_third>, unmask::no_sink>;
template struct test::device_gradients<float, unmask::predicate<test::every_third>, unmask::no_sink>;
