// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/mask/causal.hpp>
#include <unmask/sink/key_value_sink.hpp>

#include "../attention/reference_calls.inl"

// The truth that rounded results are compared with.

template struct test::reference_calls<double, double, unmask::causal, unmask::key_value_sink>;
