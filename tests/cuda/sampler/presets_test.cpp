// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Draws and presets on the GPU, against the CPU.

#include <doctest/doctest.h>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/sampler.cuh>

#include "against_cpu.hpp"

using namespace test;

TEST_CASE("draws") {
    check_against_cpu(sampler{steps{16}, categorical{}});
    check_against_cpu(sampler{steps{16}, categorical{.temperature = 0.6}, confidence{score_from::shaped}});
    check_against_cpu<bfloat16>(sampler{steps{16}, categorical{.temperature = 1.5}});
    const auto filtered = [](const categorical& draw) {
        return sampler{steps{8}, draw, confidence{score_from::shaped}};
    };
    check_against_cpu(filtered({.top_k = 3}));
    check_against_cpu(filtered({.temperature = 0, .top_k = 2}));
    check_against_cpu(filtered({1.2, 5, 0.8, filter_order::top_p_then_top_k}));
    check_against_cpu(filtered({.top_k = 21, .top_p = 1})); // which keep all
    check_against_cpu<bfloat16>(sampler{steps{16}, categorical{.temperature = 0.8, .top_p = 0.7}});
}

TEST_CASE("presets") {
    check_against_cpu(presets::llada({.steps = 20, .block_length = 8, .temperature = 0.7}));
    check_against_cpu(presets::dream({.steps = 20, .temperature = 0.6, .top_p = 0.9, .top_k = 12, .alg_temp = 2}));
    check_against_cpu(presets::dream_origin({.steps = 20, .temperature = 1.2, .top_p = 0.9}));
    check_against_cpu(presets::fast_dllm({.threshold = 0.5}));
    check_against_cpu(presets::fast_dllm({.threshold = 0.999, .temperature = 0.8})); // often none: the surest one
    check_against_cpu(presets::fast_dllm_factor({.factor = 1.5}));
    check_against_cpu(presets::dinfer_hierarchy({.threshold = 0.5, .low_threshold = 0.2}));
    check_against_cpu(presets::llada2({.steps = 4, .block_length = 8, .threshold = 0.6, .temperature = 1, .top_k = 9}));
    check_against_cpu(presets::klass({.steps = 16, .confidence = 0.2, .divergence = 2, .divergence_steps = 1}));
    check_against_cpu(presets::eb({.gamma = 2.5}));
    check_against_cpu(presets::mdlm({.steps = 25}));
    check_against_cpu(presets::mdlm_first_hitting());
}
