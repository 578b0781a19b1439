// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/sink/key_sink.hpp>
#include <unmask/sink/key_value_sink.hpp>
#include <unmask/sink/logit_sink.hpp>
#include <unmask/sink/no_sink.hpp>
#include <unmask/sink/off_by_one_sink.hpp>
#include <unmask/tensor/float_types.hpp>

#include "any_mask.hpp"
#include "reference_calls.inl"

// The truth, and the naive float implementation of every element type.

template struct test::reference_calls<double, double, test::any_mask, unmask::no_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::off_by_one_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::logit_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::key_sink>;
template struct test::reference_calls<double, double, test::any_mask, unmask::key_value_sink>;

template struct test::reference_calls<float, float, test::any_mask, unmask::no_sink>;
template struct test::reference_calls<float, float, test::any_mask, unmask::off_by_one_sink>;
template struct test::reference_calls<float, float, test::any_mask, unmask::logit_sink>;
template struct test::reference_calls<float, float, test::any_mask, unmask::key_sink>;
template struct test::reference_calls<float, float, test::any_mask, unmask::key_value_sink>;

template struct test::reference_calls<float, unmask::bfloat16, test::any_mask, unmask::no_sink>;
template struct test::reference_calls<float, unmask::bfloat16, test::any_mask, unmask::off_by_one_sink>;
template struct test::reference_calls<float, unmask::bfloat16, test::any_mask, unmask::logit_sink>;
template struct test::reference_calls<float, unmask::bfloat16, test::any_mask, unmask::key_sink>;
template struct test::reference_calls<float, unmask::bfloat16, test::any_mask, unmask::key_value_sink>;

template struct test::reference_calls<float, unmask::float16, test::any_mask, unmask::no_sink>;
template struct test::reference_calls<float, unmask::float16, test::any_mask, unmask::key_value_sink>;

// A mask that cannot list its rows.
template struct test::reference_calls<double, double, unmask::predicate<test::every_third>, unmask::no_sink>;
template struct test::reference_calls<float, float, unmask::predicate<test::every_third>, unmask::no_sink>;
template struct test::reference_calls<float, unmask::bfloat16, unmask::predicate<test::every_third>, unmask::no_sink>;
