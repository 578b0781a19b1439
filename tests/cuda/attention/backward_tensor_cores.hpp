// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../../attention/any_mask.hpp"
#include "device_problem.hpp"

namespace test {

// What the kernels are asked for.
struct backward_choice {
    bool query = true;
    bool key = true;
    bool value = true;
    bool sink_has_key = false; // and so a part in the gradients of queries
};

// The backward kernels on tensor cores, launched directly: gradients of queries, keys and values from the output and
// log-sum-exp that the problem holds.
template <class T>
void run_backward_on_tensor_cores(problem<T>& solved, const any_mask& mask, const attention_options& options,
                                  const backward_choice& choice);

} // namespace test
