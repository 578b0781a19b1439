// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>

#include "any_mask.hpp"
#include "reference_calls.inl"

// The truth that kernels are compared with.

template struct test::reference_calls<double, double, test::any_mask, unmask::no_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::off_by_one_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::logit_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::key_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::key_value_sink>;

// For a mask that cannot list its rows.
template struct test::reference_calls<double, double, unmask::predicate<test::every_third>, unmask::no_sink>;
