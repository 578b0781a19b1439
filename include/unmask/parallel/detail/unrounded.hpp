// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>

#include <unmask/config.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Calls visit(sequence, position, head) for each row of [batch, positions, heads, head_dim].
template <class Executor, class T, class Visit>
void for_each_row(const Executor& exec, const tensor_view<T, 4>& tensor, const Visit& visit) {
    const index_t heads = tensor.extents[2];
    exec.parallel_for(tensor.extents[0] * heads, [&](index_t task, int) {
        for (index_t position = 0; position < tensor.extents[1]; ++position) {
            visit(task / heads, position, task % heads);
        }
    });
}

// A result while its numbers are still floats, [batch, positions, heads, head_dim]: the tensor itself if that is of
// floats, or else memory that is rounded into it at the end. Not initialised.
template <class T>
class unrounded_tensor {
public:
    explicit unrounded_tensor(const tensor_view<T, 4>& rounded)
        : rounded_(rounded), memory_(rounds && !rounded.empty() ? rounded.size() : 0) {
        if constexpr (!rounds) {
            floats_ = rounded;
        } else if (!rounded.empty()) {
            const auto& [batch, positions, heads, head_dim] = rounded.extents;
            floats_ = view(memory_.data(), batch, positions, heads, head_dim);
        }
    }

    [[nodiscard]] const tensor_view<float, 4>& floats() const { return floats_; }

    template <class Executor>
    void round(const Executor& exec) const {
        if constexpr (rounds) {
            for_each_row(exec, floats_, [&](index_t sequence, index_t position, index_t head) {
                const float* const row = floats_.pointer(sequence, position, head);
                std::transform(row, row + floats_.extents[3], rounded_.pointer(sequence, position, head),
                               [](float x) { return static_cast<T>(x); });
            });
        }
    }

private:
    static constexpr bool rounds = !std::same_as<T, float>;

    tensor_view<T, 4> rounded_;
    float_buffer memory_;
    tensor_view<float, 4> floats_{}; // empty if the other is
};

} // namespace detail
UNMASK_NAMESPACE_END
