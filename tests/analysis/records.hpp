// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <random>
#include <vector>

#include <unmask/analysis/sink_record.hpp>

namespace test {

using namespace unmask;

/// A record of one layer and head whose keys receive these sums from as many queries, each of which sees every key.
inline sink_record record_of(std::vector<float> received, index_t sinks = 0) {
    sink_record record{.layers = 1, .heads = 1, .kv_heads = 1, .sinks = sinks};
    record.length = std::ssize(received) - sinks;
    record.seen_by.assign(received.size(), record.length);
    record.value_norms.assign(received.size(), 1.0F);
    record.received = std::move(received);
    return record;
}

/// Steps whose strongest key is each of these in turn, with 10 of it and 1 of every other.
inline std::vector<sink_record> steps_with_strongest(const std::vector<std::size_t>& strongest, std::size_t keys,
                                                     index_t sinks = 0) {
    std::vector<sink_record> steps;
    for (const std::size_t key : strongest) {
        std::vector<float> received(keys, 1.0F);
        received[key] = 10;
        steps.push_back(record_of(std::move(received), sinks));
        steps.back().call = std::ssize(steps) - 1;
    }
    return steps;
}

/// Steps of some layers and heads, of numbers with many ties.
inline std::vector<sink_record> random_steps(std::mt19937& random, index_t steps) {
    const auto below = [&](int end) { return static_cast<index_t>(random() % static_cast<unsigned>(end)); };
    const index_t kv_heads = 1 + below(2);
    const index_t heads = kv_heads * (1 + below(2));
    const index_t layers = 1 + below(2);
    const index_t length = 1 + below(9);
    const index_t sinks = below(3);
    std::vector<sink_record> result;
    for (index_t call = 0; call < steps; ++call) {
        sink_record record{
            .call = call, .layers = layers, .heads = heads, .kv_heads = kv_heads, .length = length, .sinks = sinks};
        const index_t keys = record.keys();
        for (index_t i = 0; i < layers * heads * keys; ++i) {
            record.received.push_back(static_cast<float>(below(4) == 0 ? 8 + below(3) : below(4)));
        }
        for (index_t i = 0; i < layers * keys; ++i) {
            record.seen_by.push_back(below(6));
        }
        for (index_t i = 0; i < layers * kv_heads * keys; ++i) {
            record.value_norms.push_back(static_cast<float>(1 + below(20)));
        }
        result.push_back(record);
    }
    return result;
}

} // namespace test
