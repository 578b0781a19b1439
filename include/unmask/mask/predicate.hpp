// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Any function of (query, key) as a mask: correct on every kernel, but no tile is ever skipped.
/// The function is trivially copyable; a lambda whose captures are small values will do.
template <class Function>
struct predicate {
    Function function;

    UNMASK_HOST_DEVICE constexpr explicit predicate(Function visible_if) : function(visible_if) {}

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return function(q, k); }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t /*q_begin*/, index_t /*q_end*/, index_t /*k_begin*/,
                                                     index_t /*k_end*/) const {
        return tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t /*q_end*/, index_t keys) const {
        return ranges<1>({0, keys});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t /*k_begin*/, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({0, queries});
    }
};

UNMASK_NAMESPACE_END
