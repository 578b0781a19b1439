// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// A query sees `left` keys before its own position and `right` after it: q − left ≤ k ≤ q + right.
struct sliding_window {
    index_t left;  ///< keys before the query's position that it sees, at least 0
    index_t right; ///< keys after it, at least 0; 0 makes the window causal

    // Compares differences of positions, never position + right: a huge width means "no limit" and can't overflow.
    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return q - k <= left && k - q <= right; }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const index_t q_last = q_end - 1;
        const index_t k_last = k_end - 1;
        return q_begin - k_last > left || k_begin - q_last > right     ? tile_class::empty
               : q_last - k_begin <= left && k_last - q_begin <= right ? tile_class::full
                                                                       : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return around(q_begin, q_end, left, right, keys);
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return around(k_begin, k_end, right, left, queries);
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    constexpr mask_fault fault() const {
        return left < 0    ? mask_fault{"sliding_window.left", left, "at least 0"}
               : right < 0 ? mask_fault{"sliding_window.right", right, "at least 0"}
                           : mask_fault{};
    }

private:
    UNMASK_HOST_DEVICE static constexpr ranges<1> around(index_t begin, index_t end, index_t before, index_t after,
                                                         index_t length) {
        return ranges<1>({detail::larger(0, begin - before), length - end <= after ? length : end + after});
    }
};

UNMASK_NAMESPACE_END
