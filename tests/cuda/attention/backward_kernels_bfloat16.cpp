// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "backward_tensor_cores.inl"

template <>
void test::run_backward_on_tensor_cores(problem<bfloat16>& solved, const any_mask& mask,
                                        const attention_options& options, bool sink_has_key) {
    launch_backward_on_tensor_cores<bfloat16, 32, 64, 96, 128, 192, 256>(solved, mask, options, sink_has_key);
}
