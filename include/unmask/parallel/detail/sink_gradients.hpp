// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/tensor/attention_call.hpp>
#include <unmask/tensor/tensor_view.hpp>

// The gradients of a sink in memory of their own, one after another: those that are wanted.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Calls use(gradient) for those of logits, keys and values that are not empty.
template <class T, class Use>
void for_each_sink_gradient(const attention_call_gradients<T>& gradients, const Use& use) {
    const auto one = [&](const auto& gradient) {
        if (!gradient.empty()) {
            use(gradient);
        }
    };
    one(gradients.sink_logits);
    one(gradients.sink_keys);
    one(gradients.sink_values);
}

// How many floats they are.
template <class T>
std::size_t sink_gradients_size(const attention_call_gradients<T>& gradients) {
    std::size_t size = 0;
    for_each_sink_gradient(gradients, [&](const auto& each) { size += static_cast<std::size_t>(each.size()); });
    return size;
}

inline tensor_view<float, 1> dense(float* memory, const tensor_view<float, 1>& like) {
    return view(memory, like.extents[0]);
}
inline tensor_view<float, 2> dense(float* memory, const tensor_view<float, 2>& like) {
    return view(memory, like.extents[0], like.extents[1]);
}

// Lets a call write there those that `wanted` has.
template <class T>
void place_sink_gradients(const attention_call_gradients<T>& wanted, float* at,
                          attention_call_gradients<T, float>& call) {
    const auto next = [&](auto like) {
        if (!like.empty()) {
            like = dense(at, like);
            at += like.size();
        }
        return like;
    };
    call.sink_logits = next(wanted.sink_logits);
    call.sink_keys = next(wanted.sink_keys);
    call.sink_values = next(wanted.sink_values);
}

} // namespace detail
UNMASK_NAMESPACE_END
