// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_case.cuh"
#include "cases.hpp"

void bench::cuda::add_backward(const options& options) {
    for (const index_t head_dim : {64, 128}) {
        const shape shape = usual_shape(8192, head_dim);
        add<direction::backward>(options, shape, measured<unmask::bidirectional>());
        add<direction::backward>(options, shape, measured<unmask::causal>());
        add<direction::backward>(options, shape, measured<unmask::block>());
        add<direction::backward>(options, shape, measured<unmask::block_diffusion>(8192));
    }
    using any_order = unmask::nondeterministic<detail::kernels>;
    for (const index_t head_dim : {64, 128}) {
        const shape shape = usual_shape(8192, head_dim);
        add<direction::backward, unmask::bfloat16, unmask::no_sink, any_order>(options, shape,
                                                                               measured<unmask::bidirectional>());
        add<direction::backward, unmask::bfloat16, unmask::no_sink, any_order>(options, shape,
                                                                               measured<unmask::block_diffusion>(8192));
    }
    add<direction::backward, float>(options, usual_shape(2048, 64), measured<unmask::bidirectional>());
}
