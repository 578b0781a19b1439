// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// The attention of this program. Files that include this call it without compiling its kernels: attention.cu does
/// that, for one head dimension, element type, mask and sink.

#include <unmask/attention/attention.cuh>
#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>

using layer_executor = unmask::cuda_executor_for<64>; // cuda_executor has kernels for six head dimensions
using layer_element = unmask::bfloat16;
using layer_mask = unmask::extra_sink<unmask::bidirectional>;

extern template void unmask::attention_forward(const layer_executor&, const unmask::attention_tensors<layer_element>&,
                                               const layer_mask&, const unmask::no_sink&,
                                               const unmask::attention_options&);
