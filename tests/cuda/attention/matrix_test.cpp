// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The CPU's test matrix on cuda_executor: every mask, sink, element type and head dimension, on ragged batches with grouped
// heads and tails; and random problems.

#include <doctest/doctest.h>

#include "device_problem.hpp"

namespace {

using namespace test;

template <class Sink, class T>
void check(problem<T>& input, std::size_t mask_number, index_t positions, const attention_options& options) {
    const std::vector<range> documents = some_documents(positions);
    const device_array<range> device_documents(documents);
    const auto all = masks(positions, documents);
    const auto on_device = masks(positions, {device_documents.data(), documents.size()});
    const auto& [name, mask] = all[mask_number % all.size()];
    const verdict result = compare_on_device<Sink>(input, mask, on_device[mask_number % all.size()].second, options);
    const std::string& mask_name = name; // clang 14 does not capture a structured binding
    CAPTURE(mask_name);
    CAPTURE(to_string(input.size));
    CAPTURE(options.query_offset);
    CAPTURE(options.soft_cap);
    CAPTURE(result.forward);
    CAPTURE(result.received);
    CHECK(result.passed());
}

template <class Sink, class T>
void check_every_mask() {
    std::mt19937 random(2601);
    const shape sizes[] = {{2, 70, 131, 4, 2, 32}, {1, 67, 67, 2, 1, 64}, {1, 33, 80, 2, 2, 96},
                           {1, 40, 66, 1, 1, 128}, {1, 9, 20, 2, 1, 192}, {1, 10, 30, 1, 1, 256}};
    const index_t query_lengths[] = {70, 21};
    const index_t key_lengths[] = {90, 131};
    for (const shape& size : sizes) {
        problem<T> input(size, random);
        attention_options options;
        if (size.batch == 2) {
            options.query_lengths = query_lengths;
            options.key_lengths = key_lengths;
        }
        for (std::size_t mask = 0; mask < 14; ++mask) {
            check<Sink>(input, mask, size.key_length, options);
        }
    }
}

template <class Sink, class T>
void check_random(unsigned seed, int cases) {
    std::mt19937 random(seed);
    CAPTURE(seed);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    for (int i = 0; i < cases; ++i) {
        CAPTURE(i);
        shape size{pick(1, 3), pick(0, 150), pick(0, 150), 1, pick(1, 2), pick(1, 4) * 8};
        size.head_dim =
            pick(0, 2) == 0 ? pick(1, 300) : size.head_dim * pick(1, 2); // now and then one for plain kernels
        size.heads = size.kv_heads * pick(1, 3);
        problem<T> input(size, random);
        attention_options options;
        options.query_offset = pick(0, 3) == 0 ? pick(1, 90) : 0;
        options.soft_cap = pick(0, 2) == 0 ? static_cast<float>(pick(1, 40)) * 0.25F : 0.0F;
        if (pick(0, 2) == 0) {
            options.scale = static_cast<float>(pick(-2, 8)) * 0.1F;
        }
        std::vector<index_t> query_lengths;
        std::vector<index_t> key_lengths;
        for (index_t b = 0; b < size.batch; ++b) {
            query_lengths.push_back(pick(0, size.query_length));
            key_lengths.push_back(pick(0, size.key_length));
        }
        if (pick(0, 1) == 0) {
            options.query_lengths = query_lengths;
            options.key_lengths = key_lengths;
        }
        const index_t positions = std::max(size.key_length, size.query_length + options.query_offset);
        check<Sink>(input, static_cast<std::size_t>(pick(0, 13)), positions, options);
    }
}

template <class Sink>
void check_sink(unsigned seed) {
    check_every_mask<Sink, bfloat16>();
    check_random<Sink, bfloat16>(seed, 12);
    check_random<Sink, float>(seed + 100, 8);
}

} // namespace

TEST_CASE("every mask, no sink") {
    check_sink<no_sink>(1);
}
TEST_CASE("every mask, off_by_one_sink") {
    check_sink<off_by_one_sink>(2);
}
TEST_CASE("every mask, logit_sink") {
    check_sink<logit_sink>(3);
}
TEST_CASE("every mask, key_sink") {
    check_sink<key_sink>(4);
}
TEST_CASE("every mask, key_value_sink") {
    check_sink<key_value_sink>(5);
}
TEST_CASE("every mask in float") {
    check_every_mask<key_value_sink, float>();
}
TEST_CASE("every mask in float16") {
    check_every_mask<key_value_sink, float16>();
}
