// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "problem.hpp"

// The test matrix of attention, for every processor. `Calls` says how a call is made (on_cpu below):
//   Calls::ranges              mask ranges in memory that kernels read, made from a vector; data()
//   Calls::head_dim(pick)      of a random problem; pick(low, high) is a random number
//   Calls::smallest_scale      of a random problem, in tenths
//   Calls::compare<Sink>(problem, mask, mask of the kernels, options)
//                              runs the kernels and judges them; the second mask's ranges are in Calls::ranges

namespace test {

struct on_cpu {
    using ranges = std::vector<range>;
    static constexpr index_t smallest_scale = 1;

    static index_t head_dim(const auto& pick) { return pick(1, 80); }

    template <class Sink, class T>
    static verdict compare(problem<T>& input, const any_mask& /*mask*/, const any_mask& mask_of_kernels,
                           const attention_options& options) {
        return test::compare<Sink>(input, mask_of_kernels, options);
    }
};

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

// Random shapes, options and masks: lengths from 0, odd head dimensions, offsets, soft caps, ragged batches.
template <class Calls, class Sink, class T>
void check_random(unsigned seed, int cases) {
    std::mt19937 random(seed);
    CAPTURE(seed);
    const auto pick = [&](index_t low, index_t high) {
        return std::uniform_int_distribution<index_t>(low, high)(random);
    };
    for (int i = 0; i < cases; ++i) {
        CAPTURE(i);
        shape size{pick(1, 3), pick(0, 150), pick(0, 150), 1, pick(1, 2), Calls::head_dim(pick)};
        size.heads = size.kv_heads * pick(1, 3);
        problem<T> input(size, random);
        attention_options options;
        options.query_offset = pick(0, 3) == 0 ? pick(1, 90) : 0;
        options.soft_cap = pick(0, 2) == 0 ? static_cast<float>(pick(1, 40)) * 0.25F : 0.0F;
        if (pick(0, 2) == 0) {
            options.scale = static_cast<float>(pick(Calls::smallest_scale, 8)) * 0.1F;
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
        const auto mask = static_cast<std::size_t>(pick(0, static_cast<index_t>(number_of_masks()) - 1));
        check_mask<Calls, Sink>(input, mask, std::max(size.key_length, size.query_length + options.query_offset),
                                options);
    }
}

} // namespace test
