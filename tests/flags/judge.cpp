// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cmath>
#include <cstdio>
#include <random>

#include <unmask/attention/reference.hpp>

#include "run.hpp"

namespace {

const auto reference = [](const auto& tensors, const auto& gradients, const auto& received, const auto& mask,
                          const auto& sink, const auto& options) {
    unmask::reference::attention_forward(tensors, mask, sink, options);
    unmask::reference::attention_backward(tensors, gradients, mask, sink, options);
    unmask::reference::attention_received(tensors, received, mask, sink, options);
};

// Multiples of 1/32 below 4: no storage type rounds them.
std::vector<float> random_values(std::int64_t count, std::mt19937& random) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
        value = static_cast<float>(static_cast<int>(random() % 127) - 63) / 32.0F;
    }
    return values;
}

// The largest distance, in units of what the storage type allows for numbers of this size.
double distance(const std::vector<float>& got, const std::vector<float>& expected, double unit) {
    double error = 0.0;
    double largest = 1.0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (std::isinf(expected[i]) ? got[i] != expected[i] : !std::isfinite(got[i])) {
            return INFINITY;
        }
        if (std::isfinite(expected[i])) {
            error = std::fmax(error, std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])));
            largest = std::fmax(largest, std::fabs(static_cast<double>(expected[i])));
        }
    }
    return error / (unit * largest);
}

} // namespace

int main() {
    std::mt19937 random(2026);
    int failures = 0;
    const std::size_t masks = test::masks(1, test::some_documents(1)).size();
    for (std::size_t mask = 0; mask < masks; ++mask) {
        for (const char* storage : {"float", "bfloat16", "float16"}) {
            for (const int variant : {0, 1, 2}) {
                problem p{mask, storage, variant == 1, 2, 69, 69, 4, 2, 24, 0, 0.0F, {}, {}, {}, {}, {}, {}};
                if (variant == 1) {
                    p.head_dim = 37;
                    p.soft_cap = 3.0F;
                } else if (variant == 2) { // few queries, so many keys that they are split
                    p = {mask, storage, false, 1, 3, 2500, 2, 1, 16, 2480, 0.0F, {}, {}, {}, {}, {}, {}};
                }
                p.query = random_values(p.batch * p.queries * p.heads * p.head_dim, random);
                p.d_output = random_values(p.batch * p.queries * p.heads * p.head_dim, random);
                p.key = random_values(p.batch * p.keys * p.kv_heads * p.head_dim, random);
                p.value = random_values(p.batch * p.keys * p.kv_heads * p.head_dim, random);
                p.sink_keys = random_values(p.kv_heads * p.head_dim, random);
                p.sink_values = random_values(p.kv_heads * p.head_dim, random);
                const results got = run_kernels(p);
                const results expected = run_problem<double, double>(p, reference);
                const double unit = p.storage == "float" ? 0x1p-19 : p.storage == "bfloat16" ? 0x1p-6 : 0x1p-9;
                const double worst[] = {distance(got.output, expected.output, unit),
                                        distance(got.log_sum_exp, expected.log_sum_exp, 0x1p-20),
                                        distance(got.received, expected.received, 0x1p-18),
                                        distance(got.d_query, expected.d_query, unit),
                                        distance(got.d_key, expected.d_key, unit),
                                        distance(got.d_value, expected.d_value, unit)};
                for (const double each : worst) {
                    if (!(each <= 1.0)) {
                        std::printf("mask %zu, %s, variant %d: %g %g %g %g %g %g\n", mask, storage, variant, worst[0],
                                    worst[1], worst[2], worst[3], worst[4], worst[5]);
                        ++failures;
                        break;
                    }
                }
            }
        }
    }
    return failures == 0 ? 0 : 1;
}
