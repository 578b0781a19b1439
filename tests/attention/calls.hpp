// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/attention/tensors.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/tensor/tensor_view.hpp>

namespace test {

using namespace unmask;

// The library's calls on cpu_executor, and those of the reference. Kernels take long to compile, so tests share them:
// kernels_*.cpp and judge.cpp instantiate them for any_mask with every sink. A test of another type includes calls.inl.
template <class T, class Mask, class Sink>
struct cpu_calls {
    static void forward(const cpu_executor& exec, const attention_tensors<T>& tensors, const Mask& mask,
                        const Sink& sink, const attention_options& options);
    static void backward(const cpu_executor& exec, const attention_tensors<T>& tensors,
                         const attention_gradients<T>& gradients, const Mask& mask, const Sink& sink,
                         const attention_options& options);
    static void received(const cpu_executor& exec, const attention_tensors<T>& tensors,
                         const tensor_view<sum_type<T>, 3>& received, const Mask& mask, const Sink& sink,
                         const attention_options& options);
};

template <class Real, class T, class Mask, class Sink>
struct reference_calls {
    static void forward(const attention_tensors<T>& tensors, const Mask& mask, const Sink& sink,
                        const attention_options& options);
    static void backward(const attention_tensors<T>& tensors, const attention_gradients<T>& gradients, const Mask& mask,
                         const Sink& sink, const attention_options& options);
    static void received(const attention_tensors<T>& tensors, const tensor_view<sum_type<T>, 3>& received,
                         const Mask& mask, const Sink& sink, const attention_options& options);
};

} // namespace test
