// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <doctest/doctest.h>

#include "problem.hpp"

namespace test {

// Every mask with this sink, at every head dimension, on a ragged batch with grouped heads and tails in every direction.
template <class Sink, class T>
void check_every_mask() {
    std::mt19937 random(2601);
    const shape sizes[] = {{2, 70, 131, 4, 2, 32}, {1, 67, 67, 2, 1, 64}, {1, 33, 80, 2, 2, 96},
                           {1, 40, 66, 1, 1, 128}, {1, 9, 20, 2, 1, 192}, {1, 10, 30, 1, 1, 256}};
    const index_t query_lengths[] = {70, 21};
    const index_t key_lengths[] = {90, 131};
    for (const shape& size : sizes) {
        problem<T> input(size, random);
        const std::vector<range> documents = some_documents(size.key_length);
        for (const auto& [name, mask] : masks(size.key_length, documents)) {
            attention_options options;
            if (size.batch == 2) {
                options.query_lengths = query_lengths;
                options.key_lengths = key_lengths;
            }
            const verdict result = compare<Sink>(input, mask, options);
            const std::string& mask_name = name; // clang 14 does not capture a structured binding
            CAPTURE(mask_name);
            CAPTURE(to_string(size));
            CAPTURE(result.forward);
            CAPTURE(result.backward);
            CAPTURE(result.received);
            CHECK(result.passed());
        }
    }
}

// Random shapes, options and masks: lengths from 0, odd head dimensions, offsets, soft caps, ragged batches.
template <class Sink, class T>
void check_random(unsigned seed, int cases) {
    std::mt19937 random(seed);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    for (int i = 0; i < cases; ++i) {
        shape size{pick(1, 3), pick(0, 150), pick(0, 150), 1, pick(1, 2), pick(1, 80)};
        size.heads = size.kv_heads * pick(1, 3);
        problem<T> input(size, random);
        attention_options options;
        options.query_offset = pick(0, 3) == 0 ? pick(1, 90) : 0;
        options.soft_cap = pick(0, 2) == 0 ? static_cast<float>(pick(1, 40)) * 0.25F : 0.0F;
        if (pick(0, 2) == 0) {
            options.scale = static_cast<float>(pick(1, 8)) * 0.1F;
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
        const std::vector<range> documents = some_documents(positions);
        const auto all = masks(positions, documents);
        const auto& [name, mask] = all[static_cast<std::size_t>(pick(0, static_cast<index_t>(all.size()) - 1))];
        const verdict result = compare<Sink>(input, mask, options);
        CAPTURE(seed);
        CAPTURE(i);
        const std::string& mask_name = name;
        CAPTURE(mask_name);
        CAPTURE(to_string(size));
        CAPTURE(options.query_offset);
        CAPTURE(options.soft_cap);
        CAPTURE(result.forward);
        CAPTURE(result.backward);
        CAPTURE(result.received);
        CHECK(result.passed());
    }
}

} // namespace test
