// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <unmask/parallel/attention.hpp>

#include "../attention/calls.inl"
#include "rank_calls.hpp"

namespace test {

template <class T, class Sink>
void rank_calls<T, Sink>::forward(const watched_communicator& c, const sharding& queries, const sharding& keys,
                                  const attention_tensors<T>& tensors, const any_mask& mask, const Sink& sink,
                                  const attention_options& options) {
    attention_forward(context_parallel(c, cpu_executor{1}, queries, keys), tensors, mask, sink, options);
}

template <class T, class Sink>
void rank_calls<T, Sink>::backward(const watched_communicator& c, const sharding& queries, const sharding& keys,
                                   const attention_tensors<T>& tensors, const attention_gradients<T>& gradients,
                                   const any_mask& mask, const Sink& sink, const attention_options& options) {
    attention_backward(context_parallel(c, cpu_executor{1}, queries, keys), tensors, gradients, mask, sink, options);
}

template <class T, class Sink>
void rank_calls<T, Sink>::received(const watched_communicator& c, const sharding& queries, const sharding& keys,
                                   const attention_tensors<T>& tensors, const tensor_view<float, 3>& received,
                                   const any_mask& mask, const Sink& sink, const attention_options& options) {
    attention_received(context_parallel(c, cpu_executor{1}, queries, keys), tensors, received, mask, sink, options);
}

} // namespace test
