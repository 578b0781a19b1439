// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/attention/tensors.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/tensor/tensor_view.hpp>

namespace test {

using namespace unmask;

// The library's calls on cuda_executor. They are instantiated in kernels_*.cpp, with device_calls.inl: nvcc takes
// minutes for them.
template <class T, class Mask, class Sink>
struct device_calls {
    static void forward(const cuda_executor& exec, const attention_tensors<T>& tensors, const Mask& mask,
                        const Sink& sink, const attention_options& options);
    static void received(const cuda_executor& exec, const attention_tensors<T>& tensors,
                         const tensor_view<float, 3>& received, const Mask& mask, const Sink& sink,
                         const attention_options& options);
};

// attention_backward, apart: its kernels are the same for all sinks.
template <class T, class Mask, class Sink, class Executor = cuda_executor>
struct device_gradients {
    static void backward(const Executor& exec, const attention_tensors<T>& tensors,
                         const attention_gradients<T>& gradients, const Mask& mask, const Sink& sink,
                         const attention_options& options);
};

} // namespace test
