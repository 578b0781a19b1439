// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/numeric/detail/integers.hpp>

UNMASK_NAMESPACE_BEGIN

/// The positions begin, begin + 1, … end − 1; none if end ≤ begin.
struct range {
    index_t begin = 0; ///< the first position
    index_t end = 0;   ///< the position after the last

    /// True for a range without positions.
    UNMASK_HOST_DEVICE constexpr bool empty() const { return begin >= end; }
    /// True if the position is in the range.
    UNMASK_HOST_DEVICE constexpr bool contains(index_t position) const { return begin <= position && position < end; }
    friend constexpr bool operator==(const range&, const range&) = default;
};

namespace detail {
UNMASK_HOST_DEVICE constexpr range intersect(range a, range b) {
    return {larger(a.begin, b.begin), smaller(a.end, b.end)};
}
UNMASK_HOST_DEVICE constexpr range clip(range a, index_t length) {
    return intersect(a, {0, length});
}
// Calls body(0) … body(Count − 1), unrolled at compile time: an array that is only indexed by constants stays in the
// registers of a GPU.
template <int Count, class Body>
UNMASK_HOST_DEVICE constexpr void unrolled(const Body& body) {
    if constexpr (Count > 0) {
        unrolled<Count - 1>(body);
        body(Count - 1);
    }
}
} // namespace detail

/// A list of at most Capacity half-open ranges: sorted, disjoint and not touching. Capacity is a
/// constant of the mask policy.
template <int Capacity>
struct ranges {
    static constexpr int capacity = Capacity; ///< the most ranges that the list can hold

    range items[Capacity]{}; ///< the ranges; those from `count` on are not part of the list
    int count = 0;           ///< number of ranges

    /// An empty list.
    constexpr ranges() = default;

    /// A list of one range; an empty list if that range is empty.
    UNMASK_HOST_DEVICE constexpr explicit ranges(range only) { append(only); }

    /// Adds a range that begins no earlier than the last one in the list. An empty range adds nothing; a range that
    /// touches or overlaps the last one extends it.
    UNMASK_HOST_DEVICE constexpr void append(range next) {
        if (next.empty()) {
            return;
        }
        const bool grows = count > 0 && next.begin <= at(count - 1).end;
        const int place = grows ? count - 1 : count;
        detail::unrolled<Capacity>([&](int i) {
            if (i == place) {
                items[i] = {grows ? items[i].begin : next.begin,
                            grows ? detail::larger(items[i].end, next.end) : next.end};
            }
        });
        count = place + 1;
    }

    /// items[i], or an empty range if i ≥ count.
    UNMASK_HOST_DEVICE constexpr range at(int i) const {
        range result{};
        detail::unrolled<Capacity>([&](int j) { result = j == i && j < count ? items[j] : result; });
        return result;
    }

    /// The first range, for range-based loops.
    UNMASK_HOST_DEVICE constexpr const range* begin() const { return items; }
    /// The end of the ranges, for range-based loops.
    UNMASK_HOST_DEVICE constexpr const range* end() const { return items + count; }
    /// items[i]; i < count, which is not checked.
    UNMASK_HOST_DEVICE constexpr const range& operator[](int i) const { return items[i]; }

    /// True if the position is in one of the ranges.
    UNMASK_HOST_DEVICE constexpr bool contains(index_t position) const {
        bool found = false;
        detail::unrolled<Capacity>([&](int i) { found = found || at(i).contains(position); });
        return found;
    }
};

/// The positions that are in both lists.
template <int A, int B>
UNMASK_HOST_DEVICE constexpr ranges<A + B - 1> intersection(const ranges<A>& a, const ranges<B>& b) {
    ranges<A + B - 1> result;
    detail::unrolled<A>(
        [&](int i) { detail::unrolled<B>([&](int j) { result.append(detail::intersect(a.at(i), b.at(j))); }); });
    return result;
}

/// The positions that are in either list.
template <int A, int B>
UNMASK_HOST_DEVICE constexpr ranges<A + B> set_union(const ranges<A>& a, const ranges<B>& b) {
    ranges<A + B> result;
    int i = 0;
    int j = 0;
    detail::unrolled<A + B>([&](int) {
        const bool from_a = j >= b.count || (i < a.count && a.at(i).begin <= b.at(j).begin);
        result.append(from_a ? a.at(i) : b.at(j));
        i += from_a ? 1 : 0;
        j += from_a ? 0 : 1;
    });
    return result;
}

/// The positions of [0, length) that are not in the list.
template <int A>
UNMASK_HOST_DEVICE constexpr ranges<A + 1> complement(const ranges<A>& a, index_t length) {
    ranges<A + 1> result;
    index_t next = 0;
    detail::unrolled<A>([&](int i) {
        const range each = a.at(i);
        result.append({next, detail::smaller(each.empty() ? next : each.begin, length)});
        next = each.empty() ? next : each.end;
    });
    result.append({next, length});
    return result;
}

UNMASK_NAMESPACE_END
