// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention.cuh"

template void unmask::attention_forward(const layer_executor&, const unmask::attention_tensors<layer_element>&,
                                        const layer_mask&, const unmask::no_sink&, const unmask::attention_options&);
