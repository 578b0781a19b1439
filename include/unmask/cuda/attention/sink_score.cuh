// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/attention/kernel_call.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/sink/sink_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// The sink's logit for a query of a head. The products are added up in the order of the columns: every kernel comes to
// the same.
template <class T, sink_policy Sink>
UNMASK_DEVICE float sink_score(const kernel_call<T>& call, const Sink& sink, const T* query, int head) {
    if constexpr (Sink::has_key) {
        const float* key = sink.key(head / call.group);
        float product = 0.0F;
        for (int d = 0; d < call.head_dim; ++d) {
            product += static_cast<float>(query[d]) * key[d];
        }
        return call.score(product);
    } else {
        return sink.logit(head);
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
