// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Visible where both masks say so: `a && b`. Kleene logic on tiles, which may call an empty tile partial;
/// intersected ranges.
template <mask_policy A, mask_policy B>
struct mask_and {
    A a;
    B b;

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return a.visible(q, k) && b.visible(q, k); }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const tile_class of_a = a.classify(q_begin, q_end, k_begin, k_end);
        const tile_class of_b = b.classify(q_begin, q_end, k_begin, k_end);
        if (of_a == tile_class::empty || of_b == tile_class::empty) {
            return tile_class::empty;
        }
        return of_a == tile_class::full && of_b == tile_class::full ? tile_class::full : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return intersection(a.key_ranges(q_begin, q_end, keys), b.key_ranges(q_begin, q_end, keys));
    }
    UNMASK_HOST_DEVICE constexpr auto query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return intersection(a.query_ranges(k_begin, k_end, queries), b.query_ranges(k_begin, k_end, queries));
    }
    UNMASK_HOST_DEVICE constexpr auto row(index_t q, index_t keys) const
        requires row_mask_policy<A> && row_mask_policy<B>
    {
        return intersection(a.row(q, keys), b.row(q, keys));
    }

    constexpr mask_fault fault() const {
        const mask_fault of_a = detail::fault_of(a);
        return of_a ? of_a : detail::fault_of(b);
    }
};

/// Visible where either mask says so: `a || b`. Kleene logic on tiles, which may call a full tile partial;
/// united ranges.
template <mask_policy A, mask_policy B>
struct mask_or {
    A a;
    B b;

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return a.visible(q, k) || b.visible(q, k); }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const tile_class of_a = a.classify(q_begin, q_end, k_begin, k_end);
        const tile_class of_b = b.classify(q_begin, q_end, k_begin, k_end);
        if (of_a == tile_class::full || of_b == tile_class::full) {
            return tile_class::full;
        }
        return of_a == tile_class::empty && of_b == tile_class::empty ? tile_class::empty : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return set_union(a.key_ranges(q_begin, q_end, keys), b.key_ranges(q_begin, q_end, keys));
    }
    UNMASK_HOST_DEVICE constexpr auto query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return set_union(a.query_ranges(k_begin, k_end, queries), b.query_ranges(k_begin, k_end, queries));
    }
    UNMASK_HOST_DEVICE constexpr auto row(index_t q, index_t keys) const
        requires row_mask_policy<A> && row_mask_policy<B>
    {
        return set_union(a.row(q, keys), b.row(q, keys));
    }

    constexpr mask_fault fault() const {
        const mask_fault of_a = detail::fault_of(a);
        return of_a ? of_a : detail::fault_of(b);
    }
};

/// Visible where the mask says it is not: `!a`. Its ranges are everything, because ranges say which keys some query
/// sees, and not which keys all do; empty tiles are still skipped, by their class.
template <mask_policy A>
struct mask_not {
    A a;

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return !a.visible(q, k); }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        const tile_class of_a = a.classify(q_begin, q_end, k_begin, k_end);
        return of_a == tile_class::empty  ? tile_class::full
               : of_a == tile_class::full ? tile_class::empty
                                          : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t /*q_end*/, index_t keys) const {
        return ranges<1>({0, keys});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t /*k_begin*/, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({0, queries});
    }
    UNMASK_HOST_DEVICE constexpr auto row(index_t q, index_t keys) const
        requires row_mask_policy<A>
    {
        return complement(a.row(q, keys), keys);
    }

    constexpr mask_fault fault() const { return detail::fault_of(a); }
};

/// Masks are combined with the operators of logic. Where neither operand is a type of this library, write
/// `unmask::mask_and<A, B>{a, b}`, or bring the operators in with `using namespace unmask`.
template <mask_policy A, mask_policy B>
UNMASK_HOST_DEVICE constexpr mask_and<A, B> operator&&(const A& a, const B& b) {
    return {a, b};
}

template <mask_policy A, mask_policy B>
UNMASK_HOST_DEVICE constexpr mask_or<A, B> operator||(const A& a, const B& b) {
    return {a, b};
}

template <mask_policy A>
UNMASK_HOST_DEVICE constexpr mask_not<A> operator!(const A& a) {
    return {a};
}

UNMASK_NAMESPACE_END
