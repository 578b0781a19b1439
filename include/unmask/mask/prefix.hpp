// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// The mask of prefix language models: every query sees the first `length` positions, and the rest causally:
/// k < length or k ≤ q.
struct prefix {
    index_t length; ///< positions in the prefix, at least 0

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return k < length || k <= q; }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        return k_begin >= detail::larger(length, q_end)       ? tile_class::empty
               : k_end <= detail::larger(length, q_begin + 1) ? tile_class::full
                                                              : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t q_end, index_t keys) const {
        return ranges<1>({0, detail::smaller(detail::larger(length, q_end), keys)});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({k_begin < length ? 0 : k_begin, queries});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    constexpr mask_fault fault() const {
        return length < 0 ? mask_fault{"prefix.length", length, "at least 0"} : mask_fault{};
    }
};

UNMASK_NAMESPACE_END
