// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// A query sees the keys at and before its own position, k ≤ q: the mask of autoregressive models.
struct causal {
    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return k <= q; }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        return k_begin >= q_end ? tile_class::empty : k_end <= q_begin + 1 ? tile_class::full : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t q_end, index_t keys) const {
        return ranges<1>({0, detail::smaller(q_end, keys)});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({k_begin, queries});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }
};

UNMASK_NAMESPACE_END
