// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The matrix of `visible` on [0, queries) × [0, keys), with the number of visible pairs of any tile in O(1).
class visible_counts {
public:
    template <class Mask>
    visible_counts(const Mask& mask, index_t queries, index_t keys)
        : width_(keys + 1), sums_(static_cast<std::size_t>((queries + 1) * width_)) {
        for (index_t q = 0; q < queries; ++q) {
            std::int32_t row = 0;
            for (index_t k = 0; k < keys; ++k) {
                row += mask.visible(q, k) ? 1 : 0;
                sums_[cell(q + 1, k + 1)] = sums_[cell(q, k + 1)] + row;
            }
        }
    }

    // The number of visible pairs of a tile.
    [[nodiscard]] index_t count(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        return sums_[cell(q_end, k_end)] - sums_[cell(q_begin, k_end)] - sums_[cell(q_end, k_begin)] +
               sums_[cell(q_begin, k_begin)];
    }

    // What classify would say if it always knew.
    [[nodiscard]] tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        const index_t visible = count(q_begin, q_end, k_begin, k_end);
        return visible == 0                                       ? tile_class::empty
               : visible == (q_end - q_begin) * (k_end - k_begin) ? tile_class::full
                                                                  : tile_class::partial;
    }

private:
    [[nodiscard]] std::size_t cell(index_t q, index_t k) const { return static_cast<std::size_t>(q * width_ + k); }

    index_t width_;
    std::vector<std::int32_t> sums_;
};

} // namespace detail
UNMASK_NAMESPACE_END
