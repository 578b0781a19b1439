// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// The attention of this program. Files that include this call it without compiling its kernels: attention.cu does that.

#include <unmask/unmask.cuh>

using layer_mask = unmask::extra_sink<unmask::bidirectional>;

extern template void unmask::attention_forward(const unmask::cuda_executor&, const unmask::attention_tensors<float>&,
                                               const layer_mask&, const unmask::no_sink&,
                                               const unmask::attention_options&);
