// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include <unmask/attention/attention.hpp>

#include "problem.hpp"

// Executors: threads, and one of a user's own.

using namespace test;

namespace {

// The first task last, and worker numbers that jump about.
struct backwards_executor {
    [[nodiscard]] int workers() const { return 3; }
    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        for (index_t task = tasks - 1; task >= 0; --task) {
            body(task, static_cast<int>(task % 3));
        }
    }
};
static_assert(host_executor<backwards_executor>);

} // namespace

TEST_CASE("every executor gives the same bits, whatever the order of its tasks") {
    std::mt19937 random(34);
    for (const shape& size : {shape{1, 600, 1300, 2, 1, 16}, shape{2, 9, 2500, 4, 2, 32}}) {
        problem<float> expected(size, random);
        const auto sink = expected.sink<logit_sink>();
        const any_mask mask(sliding_window{400, 300});
        run_on_cpu<logit_sink>(expected, mask);
        const auto check = [&](const problem<float>& p) {
            CHECK(same_bits(p.output, expected.output));
            CHECK(same_bits(p.log_sum_exp, expected.log_sum_exp));
            CHECK(same_bits(p.received, expected.received));
            CHECK(same_bits(p.d_query, expected.d_query));
            CHECK(same_bits(p.d_key, expected.d_key));
            CHECK(same_bits(p.d_value, expected.d_value));
            CHECK(same_bits(p.d_logits, expected.d_logits));
        };
        for (const int threads : {2, 5}) {
            problem<float> p = expected.fresh();
            run_on_cpu<logit_sink>(p, mask, {}, cpu_executor{threads});
            check(p);
        }
        problem<float> p = expected.fresh();
        const backwards_executor exec;
        attention_forward(exec, p.tensors(), mask, sink);
        attention_backward(exec, p.tensors(), p.gradients(sink), mask, sink);
        attention_received(exec, p.tensors(), p.received_view(), mask, sink);
        check(p);
    }
}
