// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expected-errors: 1
// expected-error: attention_backward on cuda_executor takes tensors of float; there are no kernels for bfloat16 and
#include <unmask/attention/attention.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/mask/causal.hpp>
#include <unmask/tensor/float_types.hpp>

void call(const unmask::attention_tensors<unmask::bfloat16>& tensors,
          const unmask::attention_gradients<unmask::bfloat16>& gradients) {
    unmask::attention_backward(unmask::cuda_executor{}, tensors, gradients, unmask::causal{});
}
