// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/pack.hpp>
#include <unmask/cpu/attention/problem.hpp>
#include <unmask/cpu/scratch.hpp>
#include <unmask/cpu/simd.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Some kv heads of a batch, counted through all sequences: those whose gradients are summed at the same time.
struct kv_head_range {
    index_t first;
    index_t last;

    [[nodiscard]] index_t size() const { return last - first; }
};

// Where the gradient of one tensor is summed: in the tensor itself if it holds floats, otherwise in a buffer for some
// kv heads, that is rounded into the tensor once.
template <class T>
class gradient_sum {
public:
    // `heads` of the tensor belong to one kv head.
    gradient_sum(const tensor_view<T, 4>& tensor, index_t heads, kv_head_range units)
        : tensor_(tensor), heads_(heads), units_(units), buffer_(size(tensor, heads) * units.size()) {}

    static constexpr bool in_place = std::same_as<T, float>;

    // Floats that the buffer needs for a kv head.
    static index_t size(const tensor_view<T, 4>& tensor, index_t heads) {
        return in_place || tensor.empty() ? 0 : heads * tensor.extents[1] * tensor.extents[3];
    }

    [[nodiscard]] bool wanted() const { return !tensor_.empty(); }

    [[nodiscard]] float* row(index_t sequence, index_t head, index_t position) const {
        if constexpr (in_place) {
            return tensor_.pointer(sequence, position, head);
        } else {
            const index_t all = tensor_.extents[2];
            const index_t at = sequence * all + head - units_.first * heads_;
            return buffer_.data() + (at * tensor_.extents[1] + position) * tensor_.extents[3];
        }
    }

    // Makes every sum of one head 0.
    void clear(index_t sequence, index_t head) const {
        for (index_t position = 0; position < tensor_.extents[1] && wanted(); ++position) {
            std::fill_n(row(sequence, head, position), tensor_.extents[3], 0.0F);
        }
    }

    // Adds factor times some packed rows.
    void add(index_t sequence, index_t head, index_t first, index_t count, float factor, const float* rows,
             index_t width) const {
        const index_t head_dim = tensor_.extents[3];
        for (index_t i = 0; i < count; ++i, rows += width) {
            float* const to = row(sequence, head, first + i);
            for (index_t d = 0; d < head_dim; ++d) {
                to[d] = multiply_add(rows[d], factor, to[d]);
            }
        }
    }

    // Rounds the sums of one head into the tensor.
    void write(index_t sequence, index_t head) const {
        for (index_t position = 0; position < tensor_.extents[1] && wanted(); ++position) {
            unpack_row(row(sequence, head, position), tensor_.extents[3], 1.0F,
                       tensor_.pointer(sequence, position, head));
        }
    }

private:
    tensor_view<T, 4> tensor_;
    index_t heads_;
    kv_head_range units_;
    float_buffer buffer_;
};

// T is the type of the gradients.
template <class T>
struct gradient_sums {
    gradient_sum<T> query;
    gradient_sum<T> key;
    gradient_sum<T> value;

    template <class Element>
    gradient_sums(const attention_call_gradients<Element, T>& gradients, index_t group, kv_head_range units)
        : query(gradients.query, group, units), key(gradients.key, 1, units), value(gradients.value, 1, units) {}

    // How many kv heads fit into a budget of floats; at least one.
    template <class Element>
    static index_t units_within(index_t budget, const attention_call_gradients<Element, T>& gradients, index_t group) {
        const index_t each = gradient_sum<T>::size(gradients.query, group) + gradient_sum<T>::size(gradients.key, 1) +
                             gradient_sum<T>::size(gradients.value, 1);
        return std::max<index_t>(1, each > 0 ? budget / each : budget);
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
