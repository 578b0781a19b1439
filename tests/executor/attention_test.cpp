// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Attention on executors of a user's own: those of the host, and one of another kind with its own attention_backend.

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/attention.hpp>
#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/sink/logit_sink.hpp>

#include "../support/executors.hpp"

using namespace unmask;

namespace {

struct sizes {
    index_t batch, queries, keys, heads, kv_heads, head_dim;
};

// Random tensors, and everything that is computed of them.
struct problem {
    sizes size;
    std::vector<float> query, key, value, d_output, logits;
    std::vector<float> output, log_sum_exp, received, d_query, d_key, d_value, d_logits;

    explicit problem(const sizes& s) : size(s) {
        std::mt19937 random(11);
        const auto fill = [&](std::vector<float>& values, index_t count) {
            std::normal_distribution<float> normal;
            values.resize(static_cast<std::size_t>(count));
            for (float& each : values) {
                each = normal(random);
            }
        };
        fill(query, s.batch * s.queries * s.heads * s.head_dim);
        fill(key, s.batch * s.keys * s.kv_heads * s.head_dim);
        fill(value, s.batch * s.keys * s.kv_heads * s.head_dim);
        fill(d_output, s.batch * s.queries * s.heads * s.head_dim);
        fill(logits, s.heads);
        constexpr float poison = std::numeric_limits<float>::quiet_NaN();
        output.assign(query.size(), poison);
        log_sum_exp.assign(static_cast<std::size_t>(s.batch * s.heads * s.queries), poison);
        received.assign(static_cast<std::size_t>(s.batch * s.heads * s.keys), poison);
        d_query.assign(query.size(), poison);
        d_key.assign(key.size(), poison);
        d_value.assign(value.size(), poison);
        d_logits.assign(logits.size(), poison);
    }

    attention_tensors<float> tensors() {
        return {.query = query_like(query),
                .key = key_like(key),
                .value = key_like(value),
                .output = query_like(output),
                .log_sum_exp = view(log_sum_exp.data(), size.batch, size.heads, size.queries)};
    }
    template <class Executor>
    void run(const Executor& exec) {
        const block mask{48};
        const logit_sink sink{view(logits)};
        const attention_options options{.query_offset = size.keys - size.queries};
        attention_forward(exec, tensors(), mask, sink, options);
        attention_backward(exec, tensors(),
                           {.output = query_like(d_output),
                            .query = query_like(d_query),
                            .key = key_like(d_key),
                            .value = key_like(d_value),
                            .sink_logits = view(d_logits)},
                           mask, sink, options);
        attention_received(exec, tensors(), received_view(), mask, sink, options);
    }

    tensor_view<float, 3> received_view() { return view(received.data(), size.batch, size.heads, size.keys); }

private:
    tensor_view<float, 4> query_like(std::vector<float>& values) const {
        return view(values.data(), size.batch, size.queries, size.heads, size.head_dim);
    }
    tensor_view<float, 4> key_like(std::vector<float>& values) const {
        return view(values.data(), size.batch, size.keys, size.kv_heads, size.head_dim);
    }
};

// Nothing is NaN, and all of it is the same: none is 0 and −0.
bool same(const problem& a, const problem& b) {
    return a.output == b.output && a.log_sum_exp == b.log_sum_exp && a.received == b.received &&
           a.d_query == b.d_query && a.d_key == b.d_key && a.d_value == b.d_value && a.d_logits == b.d_logits;
}

// Many blocks of queries; few queries on so many keys that these are split; a batch with grouped heads.
constexpr sizes all_sizes[] = {{1, 600, 700, 2, 1, 24}, {1, 5, 4700, 2, 2, 16}, {3, 40, 90, 4, 2, 32}};

} // namespace

TEST_CASE("tasks in any order, on any workers, give the bits of cpu_executor") {
    for (const sizes& size : all_sizes) {
        problem expected(size);
        expected.run(cpu_executor{1});
        for (const int team : {1, 2, 7}) {
            for (const unsigned seed : {1U, 2U}) {
                problem shuffled(size);
                shuffled.run(test::shuffled_executor{seed, team});
                CAPTURE(size.queries);
                CAPTURE(team);
                CAPTURE(seed);
                CHECK(same(shuffled, expected));
            }
        }
    }
}

TEST_CASE("an executor that counts sees the same number of tasks for the same call") {
    for (const sizes& size : all_sizes) {
        problem expected(size);
        expected.run(cpu_executor{2});
        test::counting_executor::counts first;
        test::counting_executor::counts second;
        problem counted(size);
        counted.run(test::counting_executor{&first});
        CHECK(same(counted, expected));
        counted.run(test::counting_executor{&second});
        CHECK(first.calls >= 3);
        CHECK(first.tasks >= 3 * size.batch);
        CHECK(first.calls == second.calls);
        CHECK(first.tasks == second.tasks);
    }
}

namespace {

// An accelerator that writes down what it is asked.
struct accelerator {
    struct log {
        std::string call;
        float scale = 0.0F;
        index_t query_offset = 0;
        index_t block_size = 0;
        bool has_sink = false;
    };
    log* written;
};
static_assert(!host_executor<accelerator>);

} // namespace

template <>
struct unmask::attention_backend<accelerator> {
    template <class T, mask_policy Mask, sink_policy Sink>
    static void forward(const accelerator& exec, const attention_call<T>& call, const Mask& mask, const Sink&) {
        *exec.written = {"forward", call.scale, call.query_offset, 0, Sink::present};
        if constexpr (requires { mask.size; }) {
            exec.written->block_size = mask.size;
        }
        call.output(0, 0, 0, 0) = 42.0F;
    }
    template <class T, mask_policy Mask>
    static void received(const accelerator& exec, const attention_call<T>& call, const tensor_view<float, 3>& received,
                         const Mask&) {
        *exec.written = {"received", call.scale, call.query_offset, 0, false};
        received(0, 0, 0) = 43.0F;
    }
};
static_assert(attention_executor<accelerator> && !attention_backward_executor<accelerator>);

TEST_CASE("an executor of another kind gets calls that are checked and complete") {
    problem p({1, 4, 6, 2, 1, 16});
    accelerator::log log;
    const accelerator exec{&log};
    const logit_sink sink{view(p.logits)};
    attention_forward(exec, p.tensors(), block{3}, sink, {.query_offset = 2});
    CHECK(log.call == "forward");
    CHECK(log.scale == 0.25F);
    CHECK(log.query_offset == 2);
    CHECK(log.block_size == 3);
    CHECK(log.has_sink);
    CHECK(p.output[0] == 42.0F);
    attention_received(exec, p.tensors(), p.received_view(), causal{}, no_sink{}, {.scale = 3.0F});
    CHECK(log.call == "received");
    CHECK(log.scale == 3.0F);
    CHECK(p.received[0] == 43.0F);

    log = {};
    CHECK_THROWS_AS(attention_forward(exec, p.tensors(), block{0}), invalid_argument);
    CHECK_THROWS_AS(attention_received(exec, p.tensors(), {}, causal{}), invalid_argument);
    CHECK(log.call.empty());
}
