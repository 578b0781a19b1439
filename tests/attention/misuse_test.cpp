// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/reference.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/mask_policy.hpp>

#include "../support/mask_list.hpp"
#include "problem.hpp"

// Every kind of misuse is an error that names the argument, what it was and what was expected, and nothing is written.

using namespace test;

namespace {

struct fixture {
    std::mt19937 random{1};
    problem<float> p{{2, 6, 5, 4, 2, 8}, random};
    attention_tensors<float> tensors = p.tensors();
    attention_gradients<float> gradients = p.gradients(key_value_sink{});
    tensor_view<float, 3> received = p.received_view();
    attention_options options;
    key_value_sink sink = p.sink<key_value_sink>();

    using calls = cpu_calls<float, any_mask, key_value_sink>;
    void forward() const { calls::forward(cpu_executor{}, tensors, bidirectional{}, sink, options); }
    void backward() const { calls::backward(cpu_executor{}, tensors, gradients, bidirectional{}, sink, options); }
    void receive() const { calls::received(cpu_executor{}, tensors, received, bidirectional{}, sink, options); }

    [[nodiscard]] bool untouched() const {
        const auto all_poison = [](const std::vector<float>& values) {
            return std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); });
        };
        return all_poison(p.output) && all_poison(p.log_sum_exp) && all_poison(p.d_query) && all_poison(p.d_key) &&
               all_poison(p.d_value) && all_poison(p.d_keys) && all_poison(p.d_values) && all_poison(p.received);
    }
};

// What the call says of the misuse; empty if it says nothing. The reference must say the same.
template <class Call>
std::string complaint(const fixture& f, Call call) {
    try {
        call();
    } catch (const invalid_argument& error) {
        CHECK(f.untouched());
        return error.what();
    }
    return {};
}

std::string forward_complaint(const fixture& f) {
    return complaint(f, [&] { f.forward(); });
}
std::string backward_complaint(const fixture& f) {
    return complaint(f, [&] { f.backward(); });
}
std::string received_complaint(const fixture& f) {
    return complaint(f, [&] { f.receive(); });
}

} // namespace

TEST_CASE("the right use of every front-door function says nothing") {
    fixture f;
    f.forward();
    f.backward();
    f.receive();
}

TEST_CASE("misuse: shapes") {
    fixture f;
    f.tensors.key.extents[1] = 4;
    CHECK(forward_complaint(f) == "attention_forward: value.extents is [2, 5, 2, 8], expected [2, 4, 2, 8]");
    f = fixture{};
    f.tensors.key.extents[0] = 1;
    CHECK(forward_complaint(f) == "attention_forward: key.extents is [1, 5, 2, 8], expected [2, 5, 2, 8]");
    f = fixture{};
    f.tensors.output.extents[3] = 7;
    CHECK(forward_complaint(f) == "attention_forward: output.extents is [2, 6, 4, 7], expected [2, 6, 4, 8]");
    f = fixture{};
    f.tensors.log_sum_exp.extents[2] = 5;
    CHECK(forward_complaint(f) == "attention_forward: log_sum_exp.extents is [2, 4, 5], expected [2, 4, 6]");
    f = fixture{};
    f.tensors.key.extents[2] = 3;
    CHECK(forward_complaint(f) ==
          "attention_forward: query.extents[2] (heads) is 4, expected a multiple of kv_heads (3)");
    f = fixture{};
    f.gradients.key.extents[1] = 6;
    CHECK(backward_complaint(f) == "attention_backward: gradients.key.extents is [2, 6, 2, 8], expected [2, 5, 2, 8]");
    f = fixture{};
    f.received.extents[2] = 6;
    CHECK(received_complaint(f) == "attention_received: received.extents is [2, 4, 6], expected [2, 4, 5]");
    f = fixture{};
    f.sink.keys.extents[0] = 4;
    CHECK(forward_complaint(f) == "attention_forward: sink.keys.extents is [4, 8], expected [2, 8]");
    f = fixture{};
    f.sink.values.extents[1] = 4;
    CHECK(received_complaint(f) == "attention_received: sink.values.extents is [2, 4], expected [2, 8]");
    f = fixture{};
    const logit_sink logits{view(f.p.sink_logits.data(), 3)};
    using calls_with_logits = cpu_calls<float, any_mask, logit_sink>;
    CHECK(complaint(f, [&] { calls_with_logits::forward(cpu_executor{}, f.tensors, bidirectional{}, logits, {}); }) ==
          "attention_forward: sink.logits.extents is [3], expected [4]");
}

TEST_CASE("misuse: negative and empty extents") {
    fixture f;
    f.tensors.query.extents[1] = -6;
    CHECK(forward_complaint(f) == "attention_forward: query.extents[1] (query_length) is -6, expected at least 0");
    f = fixture{};
    f.tensors.key.extents[1] = -1;
    CHECK(forward_complaint(f) == "attention_forward: key.extents[1] (key_length) is -1, expected at least 0");
    f = fixture{};
    f.tensors.query.extents[3] = 0;
    CHECK(backward_complaint(f) == "attention_backward: query.extents[3] (head_dim) is 0, expected at least 1");
    f = fixture{};
    f.tensors.key.extents[2] = 0;
    CHECK(received_complaint(f) == "attention_received: key.extents[2] (kv_heads) is 0, expected at least 1");
}

TEST_CASE("misuse: null data") {
    fixture f;
    f.tensors.query.data = nullptr;
    CHECK(forward_complaint(f) == "attention_forward: query is null, expected a pointer to its elements");
    f = fixture{};
    f.tensors.output.data = nullptr;
    CHECK(forward_complaint(f) == "attention_forward: output is null, expected a pointer to its elements");
    f = fixture{};
    f.gradients.output.data = nullptr;
    CHECK(backward_complaint(f) == "attention_backward: gradients.output is null, expected a pointer to its elements");
    f = fixture{};
    f.received.data = nullptr;
    CHECK(received_complaint(f) == "attention_received: received is null, expected a pointer to its elements");
    f = fixture{};
    f.tensors.log_sum_exp = {};
    CHECK(backward_complaint(f) == "attention_backward: log_sum_exp.extents is [0, 0, 0], expected [2, 4, 6]");
    f = fixture{};
    f.sink.keys.data = nullptr;
    CHECK(forward_complaint(f) == "attention_forward: sink.keys is null, expected a pointer to its elements");
}

TEST_CASE("misuse: strides") {
    fixture f;
    f.tensors.value.strides[3] = 2;
    CHECK(forward_complaint(f) ==
          "attention_forward: value.strides is [80, 16, 8, 2], expected an innermost stride of 1");
    f = fixture{};
    f.tensors.query.strides[1] = -32;
    CHECK(forward_complaint(f) == "attention_forward: query.strides is [192, -32, 8, 1], expected no negative stride");
    f = fixture{};
    f.tensors.output.strides[1] = 16; // rows on top of each other
    CHECK(forward_complaint(f) ==
          "attention_forward: output.strides is [192, 16, 8, 1], expected strides under which no "
          "two elements share memory");
    f = fixture{};
    f.tensors.key.strides[1] = 0; // one row for all positions: fine for what is only read
    f.forward();
}

TEST_CASE("misuse: overlapping output") {
    fixture f;
    f.tensors.output.data = f.p.query.data();
    CHECK(forward_complaint(f) == "attention_forward: output is overlapping query, expected memory of its own");
    f = fixture{};
    f.tensors.log_sum_exp.data = f.p.value.data();
    CHECK(forward_complaint(f) == "attention_forward: log_sum_exp is overlapping value, expected memory of its own");
    f = fixture{};
    f.gradients.value = f.gradients.key;
    CHECK(backward_complaint(f) ==
          "attention_backward: gradients.key is overlapping gradients.value, expected memory of its own");
    f = fixture{};
    f.received.data = f.p.log_sum_exp.data();
    CHECK(received_complaint(f) ==
          "attention_received: received is overlapping log_sum_exp, expected memory of its own");
    // Interleaved parts of one buffer are apart only if they are apart in every row.
    std::vector<float> fused(1000);
    f = fixture{};
    const auto part = [&](index_t first) {
        tensor_view<float, 4> result = f.gradients.key;
        result.data = fused.data() + first;
        result.strides = {5 * 40, 40, 8, 1}; // 16 of every 40 floats
        return result;
    };
    f.gradients.key = part(0);
    f.gradients.value = part(15);
    CHECK(backward_complaint(f) ==
          "attention_backward: gradients.key is overlapping gradients.value, expected memory of its own");
    f.gradients.value = part(16);
    f.forward();
    f.backward();
}

TEST_CASE("misuse: options") {
    fixture f;
    f.options.query_offset = -1;
    CHECK(forward_complaint(f) == "attention_forward: options.query_offset is -1, expected at least 0");
    f = fixture{};
    f.options.query_offset = most_positions - 5; // of 6 queries
    CHECK(forward_complaint(f) == "attention_forward: options.query_offset is 4611686018427387899, expected at most "
                                  "4611686018427387898: query_offset + query_length is at most 2^62");
    f.options.query_offset = std::numeric_limits<index_t>::max();
    for (const auto& complains : {backward_complaint, received_complaint}) {
        CHECK(complains(f).find("options.query_offset is 9223372036854775807, expected at most 46116860184") !=
              std::string::npos);
    }
    f = fixture{};
    f.options.key_offset = -3;
    CHECK(forward_complaint(f) == "attention_forward: options.key_offset is -3, expected at least 0");
    f.options.key_offset = std::numeric_limits<index_t>::max();
    for (const auto& complains : {backward_complaint, received_complaint}) {
        CHECK(complains(f).find("options.key_offset is 9223372036854775807, expected at most 46116860184") !=
              std::string::npos);
    }
    f = fixture{};
    f.options.soft_cap = -2.0F;
    CHECK(forward_complaint(f) == "attention_forward: options.soft_cap is -2, expected 0 (none), or 1e-30 to 1e30");
    f = fixture{};
    f.options.scale = std::numeric_limits<float>::quiet_NaN();
    CHECK(backward_complaint(f) == "attention_backward: options.scale is nan, expected a finite number");
    f = fixture{};
    const index_t lengths[] = {3, 7};
    f.options.query_lengths = lengths;
    CHECK(forward_complaint(f) == "attention_forward: options.query_lengths is 7, expected between 0 and 6");
    f = fixture{};
    f.options.key_lengths = std::span(lengths, 1);
    CHECK(forward_complaint(f) == "attention_forward: options.key_lengths is 1 entries, expected one a sequence (2)");
}

TEST_CASE("the largest query offset is as good as any, and a larger one is an error for every mask") {
    fixture f;
    const std::vector<range> documents = document_ranges(std::vector<index_t>{4, 2});
    const auto check = [&](const char* name, const any_mask& mask) {
        CAPTURE(name);
        const auto forward = [&] { fixture::calls::forward(cpu_executor{}, f.tensors, mask, f.sink, f.options); };
        f.options.query_offset = most_positions - 6;
        CHECK_NOTHROW(forward());
        const std::vector<float> written = f.p.output;
        ++f.options.query_offset;
        CHECK_THROWS_WITH_AS(forward(), doctest::Contains("options.query_offset is 4611686018427387899"),
                             invalid_argument);
        CHECK(f.p.output == written);
    };
    std::apply([&](const auto&... each) { (check(each.name, any_mask(each.tested)), ...); }, mask_list(6, documents));
}

TEST_CASE("misuse: mask parameters, also inside a composed mask") {
    fixture f;
    CHECK(complaint(f, [&] { attention_forward(cpu_executor{}, f.tensors, block{0}); }) ==
          "attention_forward: mask block.size is 0, expected at least 1");
    CHECK(complaint(f, [&] { attention_received(cpu_executor{}, f.tensors, f.received, causal{} && block{-3}); }) ==
          "attention_received: mask block.size is -3, expected at least 1");
}

TEST_CASE("misuse: a gradient for a parameter that the sink does not have") {
    fixture f;
    using calls_without_sink = cpu_calls<float, any_mask, no_sink>;
    CHECK(complaint(f, [&] {
              calls_without_sink::backward(cpu_executor{}, f.tensors, f.gradients, bidirectional{}, no_sink{}, {});
          }) == "attention_backward: gradients.sink_keys is given, expected empty: this sink has no such parameter");
}

TEST_CASE("misuse: the reference says the same") {
    fixture f;
    f.tensors.output.data = f.p.key.data();
    CHECK(complaint(f, [&] { reference::attention_forward(f.tensors, bidirectional{}); }) ==
          "attention_forward: output is overlapping key, expected memory of its own");
}

TEST_CASE("an empty batch, no queries, no keys: nothing to do, nothing wrong") {
    std::mt19937 random(2);
    for (const shape& size : {shape{0, 4, 4, 1, 1, 8}, shape{1, 0, 4, 1, 1, 8}, shape{1, 4, 0, 1, 1, 8}}) {
        problem<float> p(size, random);
        run_on_cpu<off_by_one_sink>(p, any_mask(causal{}), {}, cpu_executor{});
        for (const float each : p.output) {
            CHECK(each == 0.0F);
        }
    }
}
