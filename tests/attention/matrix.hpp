// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "comparison.hpp"

// The test matrix of attention, for every processor: see on_cpu.hpp.

namespace test {

inline std::size_t number_of_masks() {
    return masks(1, some_documents(1)).size();
}

// One problem with the mask of this number.
template <class Calls, class Sink, class T>
void check_mask(problem<T>& input, std::size_t number, index_t positions, const attention_options& options) {
    const std::vector<range> documents = some_documents(positions);
    const typename Calls::ranges documents_of_kernels(documents);
    const auto all = masks(positions, documents);
    const auto of_kernels = masks(positions, {documents_of_kernels.data(), documents.size()});
    const std::string& mask_name = all[number].first;
    const verdict result = Calls::template compare<Sink>(input, all[number].second, of_kernels[number].second, options);
    CAPTURE(mask_name);
    CAPTURE(to_string(input.size));
    CAPTURE(options.query_offset);
    CAPTURE(options.key_offset);
    CAPTURE(options.soft_cap);
    CAPTURE(result.forward);
    CAPTURE(result.backward);
    CAPTURE(result.received);
    CHECK(result.passed());
}

// Every mask with this sink, at every head dimension, on a ragged batch with grouped heads, and tails in every
// direction.
template <class Calls, class Sink, class T>
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
        for (std::size_t mask = 0; mask < number_of_masks(); ++mask) {
            check_mask<Calls, Sink>(input, mask, size.key_length, options);
        }
    }
}

// NaN in positions of a [batch, positions, …] tensor that no call may read: those from each sequence's length on.
template <class T>
void spoil_padding(std::vector<T>& values, index_t positions, std::span<const index_t> lengths) {
    const auto row =
        static_cast<index_t>(values.size()) / std::max<index_t>(1, static_cast<index_t>(lengths.size()) * positions);
    for (std::size_t b = 0; b < lengths.size(); ++b) {
        const auto begin = values.begin() + static_cast<index_t>(b) * positions * row;
        std::fill(begin + lengths[b] * row, begin + positions * row,
                  static_cast<T>(std::numeric_limits<float>::quiet_NaN()));
    }
}

// Random shapes, options and masks: lengths from 0, odd head dimensions (of those that tensor cores take, too),
// offsets of queries and keys, soft caps, scales of either sign, large scores, ragged batches with NaN behind their
// ends, and NaN anywhere.
template <class Calls, class Sink, class T>
void check_random(unsigned seed, int cases) {
    std::mt19937 random(seed);
    CAPTURE(seed);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    for (int i = 0; i < cases; ++i) {
        CAPTURE(i);
        const index_t head_dim = pick(0, 2) == 0 ? pick(1, 300) : pick(1, 4) * 8 * pick(1, 2);
        shape size{pick(1, 3), pick(0, 150), pick(0, 150), 1, pick(1, 2), head_dim};
        size.heads = size.kv_heads * pick(1, 3);
        problem<T> input(size, random);
        attention_options options;
        options.query_offset = pick(0, 3) == 0 ? pick(1, 90) : 0;
        options.key_offset = pick(0, 3) == 0 ? pick(1, 90) : 0;
        options.soft_cap = pick(0, 2) == 0 ? static_cast<float>(pick(1, 40)) * 0.25F : 0.0F;
        if (pick(0, 2) == 0) {
            options.scale = static_cast<float>(pick(-8, 8)) * 0.1F;
        }
        if (pick(0, 3) == 0) {
            const auto larger = static_cast<float>(pick(2, 100));
            for (T& each : input.query) {
                each = static_cast<T>(static_cast<float>(each) * larger);
            }
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
            spoil_padding(input.query, size.query_length, query_lengths);
            spoil_padding(input.d_output, size.query_length, query_lengths);
            spoil_padding(input.key, size.key_length, key_lengths);
            spoil_padding(input.value, size.key_length, key_lengths);
        }
        for (std::vector<T>* values : {&input.query, &input.key, &input.value, &input.d_output}) {
            if (!values->empty() && pick(0, 11) == 0) {
                (*values)[static_cast<std::size_t>(pick(0, static_cast<index_t>(values->size()) - 1))] =
                    static_cast<T>(std::numeric_limits<float>::quiet_NaN());
            }
        }
        const auto mask = static_cast<std::size_t>(pick(0, static_cast<index_t>(number_of_masks()) - 1));
        const index_t positions =
            std::max(options.key_offset + size.key_length, options.query_offset + size.query_length);
        check_mask<Calls, Sink>(input, mask, positions, options);
    }
}

} // namespace test
