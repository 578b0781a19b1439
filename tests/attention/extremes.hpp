// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "problem.hpp"

// Scores of any size: what is finite stays finite, and forward, backward and received agree on it. For every processor:
// see on_cpu.hpp.

namespace test {

// One row, of head dimension 1, with these scores for values of 1, 2, …
inline problem<float> row_of_scores(const std::vector<float>& scores) {
    std::mt19937 unused;
    problem<float> p({1, 1, static_cast<index_t>(scores.size()), 1, 1, 1}, unused);
    p.query = {1.0F};
    p.key = scores;
    for (std::size_t k = 0; k < scores.size(); ++k) {
        p.value[k] = static_cast<float>(k + 1);
    }
    return p;
}

template <class Calls, class T>
void check_only_key(unsigned seed) {
    std::mt19937 random(seed);
    for (const float size : {1.0F, 1e2F, 1e3F, 1e5F, 1e6F, 1e8F, 1e12F, 1e18F}) {
        CAPTURE(size);
        if (std::same_as<T, float16> && size > 1e3F) {
            continue; // the largest float16 is 65504
        }
        for (const index_t head_dim : {1, 24, 64}) {
            CAPTURE(head_dim);
            problem<T> p({1, 50, 1, 1, 1, head_dim}, random);
            p.query = random_values<T>(p.query.size(), random, size);
            p.key = random_values<T>(p.key.size(), random, size);
            p.d_output.assign(p.d_output.size(), T(1.0F));
            Calls::template run<no_sink>(p, bidirectional{}, {});
            CHECK(p.received[0] == 50.0F);
            CHECK(p.d_value == std::vector<T>(p.d_value.size(), T(50.0F)));

            // The same beside a key that weighs nothing next to it, in one order and the other.
            problem<T> beside({1, 1, 2, 1, 1, head_dim}, random);
            beside.query = random_values<T>(beside.query.size(), random, size);
            for (std::size_t d = 0; d < beside.dim(); ++d) {
                const float key = std::copysign(size, static_cast<float>(beside.query[d]));
                beside.key[d] = T(key);
                beside.key[beside.dim() + d] = T(-key);
            }
            for (const float sign : {1.0F, -1.0F}) {
                for (T& each : beside.query) {
                    each = T(sign * static_cast<float>(each));
                }
                Calls::template run<no_sink>(beside, bidirectional{}, {});
                const bool far = std::fabs(beside.log_sum_exp[0]) > 100.0F;
                CHECK((!far || beside.received[sign > 0.0F ? 0 : 1] == 1.0F));
            }
        }
    }
}

template <class Calls>
void check_end_of_range() {
    const float largest = std::numeric_limits<float>::max();
    for (const float score : {2e38F, 2.1e38F, 2.4e38F, 3e38F, 3.2e38F, largest}) {
        for (const float same : {score, -score}) {
            CAPTURE(same);
            problem<float> p = row_of_scores({same, same});
            Calls::template run<no_sink>(p, bidirectional{}, {.scale = 1.0F});
            CHECK(p.output[0] == 1.5F);
            CHECK(p.log_sum_exp[0] == same);
            CHECK(p.received[0] == 1.0F); // next to such a score, log 2 is nothing
        }
    }
    problem<float> apart = row_of_scores({-largest, largest, 0.0F});
    for (const float scale : {1.0F, -1.0F}) {
        CAPTURE(scale);
        Calls::template run<no_sink>(apart, bidirectional{}, {.scale = scale});
        CHECK(apart.output[0] == (scale > 0.0F ? 2.0F : 1.0F));
        CHECK(apart.log_sum_exp[0] == largest);
        CHECK(apart.received == std::vector<float>{scale > 0.0F ? 0.0F : 1.0F, scale > 0.0F ? 1.0F : 0.0F, 0.0F});
    }
}

template <class Calls>
void check_scales() {
    for (const float scale : {0.0F, 1e-45F, 1e-39F, 1e-30F, -1e-30F}) {
        CAPTURE(scale);
        problem<float> p = row_of_scores({1.0F, -2.0F});
        Calls::template run<no_sink>(p, causal{}, {.scale = scale, .query_offset = 1});
        CHECK(p.output[0] == 1.5F);
        CHECK(p.received == std::vector<float>{0.5F, 0.5F});
    }
    for (const float scale : {1e30F, 3e38F, -3e38F}) {
        CAPTURE(scale);
        problem<float> p = row_of_scores({1.0F, -1.0F});
        Calls::template run<no_sink>(p, causal{}, {.scale = scale, .query_offset = 1});
        CHECK(p.output[0] == (scale > 0.0F ? 1.0F : 2.0F));
        CHECK(p.log_sum_exp[0] == std::fabs(scale));
    }
}

template <class Calls>
void check_scores_of_minus_infinity() {
    const float infinity = std::numeric_limits<float>::infinity();
    problem<float> some = row_of_scores({-infinity, 3.0F, -infinity});
    Calls::template run<no_sink>(some, bidirectional{}, {.scale = 1.0F});
    CHECK(some.output[0] == 2.0F);
    CHECK(some.log_sum_exp[0] == 3.0F);
    CHECK(some.received == std::vector<float>{0.0F, 1.0F, 0.0F});
    problem<float> none = row_of_scores({-infinity, -infinity});
    Calls::template run<no_sink>(none, bidirectional{}, {.scale = 1.0F});
    CHECK(none.output[0] == 0.0F);
    CHECK(none.log_sum_exp[0] == -infinity);
    CHECK(none.received == std::vector<float>{0.0F, 0.0F});
    CHECK(none.d_value == std::vector<float>{0.0F, 0.0F});
}

template <class Calls, class T>
void check_sinks_of_minus_infinity() {
    std::mt19937 random(54);
    problem<T> with({1, 20, 20, 2, 1, 16}, random);
    with.sink_logits.assign(2, -std::numeric_limits<float>::infinity());
    problem<T> without = with.fresh();
    for (const any_mask& mask : {any_mask(causal{}), any_mask(document{nullptr, 0})}) {
        Calls::template run<logit_sink>(with, mask, {});
        Calls::template run<no_sink>(without, mask, {});
        CHECK(same_bits(with.output, without.output));
        CHECK(same_bits(with.log_sum_exp, without.log_sum_exp));
        CHECK(same_bits(with.received, without.received));
        CHECK(same_bits(with.d_query, without.d_query));
        CHECK(same_bits(with.d_value, without.d_value));
        CHECK(with.d_logits == std::vector<float>(2, 0.0F));
    }
}

template <class Calls>
void check_soft_caps() {
    for (const float cap : {1e-30F, 1e-6F, 0.5F, 30.0F, 1e4F, 1e6F, 1e12F, 1e30F}) {
        CAPTURE(cap);
        for (const float score : {0.0F, 1e-3F, 1.0F, 25.0F, 1e4F}) {
            CAPTURE(score);
            problem<float> p = row_of_scores({score, score});
            Calls::template run<no_sink>(p, bidirectional{}, {.scale = 1.0F, .soft_cap = cap});
            const double capped = static_cast<double>(cap) * std::tanh(static_cast<double>(score) / cap);
            const double units = 1.0 + std::fabs(capped);
            CHECK(p.output[0] == 1.5F);
            CHECK(std::fabs(p.log_sum_exp[0] - (capped + std::log(2.0))) <= 4e-7 * units);
            CHECK(std::fabs(p.received[0] - 0.5) <= 4e-7 * units);
            CHECK(std::isfinite(p.d_query[0]));
        }
    }
}

} // namespace test
