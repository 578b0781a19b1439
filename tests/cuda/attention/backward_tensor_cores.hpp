// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../../attention/any_mask.hpp"
#include "device_problem.hpp"

namespace test {

// The backward kernels on tensor cores, launched directly: gradients of queries, keys and values from the output and
// log-sum-exp that the problem holds. Of a sink with a key, its part in the gradients of queries.
template <class T>
void run_backward_on_tensor_cores(problem<T>& solved, const any_mask& mask, const attention_options& options,
                                  bool sink_has_key);

} // namespace test
