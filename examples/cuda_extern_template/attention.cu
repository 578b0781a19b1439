// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention.cuh"

template void unmask::attention_forward(const unmask::cuda_executor&, const unmask::attention_tensors<float>&,
                                        const layer_mask&, const unmask::no_sink&, const unmask::attention_options&);
