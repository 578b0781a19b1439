// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Any function of (query, key), or any type with `visible(query, key)`, as a mask: correct on every kernel, but no
/// tile is ever skipped. The function is trivially copyable; a lambda whose captures are small values will do.
///
/// The way to try a mask before its classify and key_ranges are written.
template <class Function>
struct predicate {
    static_assert(
        detail::has_visible<Function> || detail::function_of_positions<Function>,
        "unmask::predicate: needs a function bool(index_t q, index_t k), or a type with bool visible(index_t q, "
        "index_t k) const");

    Function function; ///< decides whether a key is visible

    /// Wraps a function, or a type with `visible`.
    UNMASK_HOST_DEVICE constexpr explicit predicate(Function visible_if) : function(visible_if) {}

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const {
        if constexpr (detail::has_visible<Function>) {
            return function.visible(q, k);
        } else {
            return function(q, k);
        }
    }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t /*q_begin*/, index_t /*q_end*/, index_t /*k_begin*/,
                                                     index_t /*k_end*/) const {
        return tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t /*q_end*/, index_t keys) const {
        return ranges<1>({0, keys});
    }
};

UNMASK_NAMESPACE_END
