// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include "../support/options.hpp"

// The cases of bench_attention_cuda. They are in several files because each pair of mask and sink is kernels of its
// own, which take seconds to compile.

namespace bench::cuda {

void add_forward_bidirectional(const options& options);
void add_forward_blocks(const options& options);
void add_forward_masks(const options& options);
void add_forward_sinks(const options& options);
void add_forward_types(const options& options);
void add_received(const options& options);
void add_backward(const options& options);

} // namespace bench::cuda
