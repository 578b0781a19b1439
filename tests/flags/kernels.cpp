// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <unmask/tensor/float_types.hpp>

#include "run.hpp"

namespace {

const auto kernels = [](const auto& tensors, const auto& gradients, const auto& received, const auto& mask,
                        const auto& sink, const auto& options) {
    const unmask::cpu_executor exec{2};
    attention_forward(exec, tensors, mask, sink, options);
    attention_backward(exec, tensors, gradients, mask, sink, options);
    attention_received(exec, tensors, received, mask, sink, options);
};

} // namespace

results run_kernels(const problem& problem) {
    return problem.storage == "float"      ? run_problem<float, float>(problem, kernels)
           : problem.storage == "bfloat16" ? run_problem<unmask::bfloat16, float>(problem, kernels)
                                           : run_problem<unmask::float16, float>(problem, kernels);
}
