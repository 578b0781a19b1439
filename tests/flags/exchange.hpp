// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// What kernels.cpp, compiled with the flags under test, and judge.cpp, compiled plainly, tell each other: nothing of
// the library, whose types differ between the two.

struct problem {
    std::size_t mask;    // of test::masks
    std::string storage; // float, bfloat16, float16
    bool sink;
    std::int64_t batch, queries, keys, heads, kv_heads, head_dim, query_offset;
    float soft_cap;
    std::vector<float> query, key, value, d_output; // can be stored without rounding
    std::vector<float> sink_keys, sink_values;
};

struct results {
    std::vector<float> output, log_sum_exp, received, d_query, d_key, d_value;
};

results run_kernels(const problem& problem);
