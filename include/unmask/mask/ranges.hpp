// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// Positions begin, begin + 1, … end − 1.
struct range {
    index_t begin = 0;
    index_t end = 0;

    UNMASK_HOST_DEVICE constexpr bool empty() const { return begin >= end; }
    UNMASK_HOST_DEVICE constexpr bool contains(index_t position) const { return begin <= position && position < end; }
    friend constexpr bool operator==(const range&, const range&) = default;
};

namespace detail {
// std::min and std::max are not callable in device code without a compiler flag that we do not force on users.
UNMASK_HOST_DEVICE constexpr index_t smaller(index_t a, index_t b) { return b < a ? b : a; }
UNMASK_HOST_DEVICE constexpr index_t larger(index_t a, index_t b) { return a < b ? b : a; }
UNMASK_HOST_DEVICE constexpr range intersect(range a, range b) {
    return {larger(a.begin, b.begin), smaller(a.end, b.end)};
}
UNMASK_HOST_DEVICE constexpr range clip(range a, index_t length) { return intersect(a, {0, length}); }
} // namespace detail

/// At most Capacity half-open ranges, sorted, disjoint and not touching. Capacity is a constant of the mask policy.
template <int Capacity>
struct ranges {
    static constexpr int capacity = Capacity;

    range items[Capacity]{};
    int count = 0;

    constexpr ranges() = default;

    /// One range, or none if it is empty.
    UNMASK_HOST_DEVICE constexpr explicit ranges(range only) { append(only); }

    /// Adds a range that begins at or after the begin of the last one. An empty range adds nothing; one that touches
    /// or overlaps the last grows it.
    UNMASK_HOST_DEVICE constexpr void append(range next) {
        if (next.empty()) {
            return;
        }
        if (count > 0 && next.begin <= items[count - 1].end) {
            items[count - 1].end = detail::larger(items[count - 1].end, next.end);
        } else {
            items[count++] = next;
        }
    }

    UNMASK_HOST_DEVICE constexpr const range* begin() const { return items; }
    UNMASK_HOST_DEVICE constexpr const range* end() const { return items + count; }
    UNMASK_HOST_DEVICE constexpr const range& operator[](int i) const { return items[i]; }

    UNMASK_HOST_DEVICE constexpr bool contains(index_t position) const {
        for (const range& each : *this) {
            if (each.contains(position)) {
                return true;
            }
        }
        return false;
    }
};

/// The positions in both.
template <int A, int B>
UNMASK_HOST_DEVICE constexpr ranges<A + B - 1> intersection(const ranges<A>& a, const ranges<B>& b) {
    ranges<A + B - 1> result;
    int i = 0;
    int j = 0;
    while (i < a.count && j < b.count) {
        result.append(detail::intersect(a[i], b[j]));
        if (a[i].end < b[j].end) {
            ++i;
        } else {
            ++j;
        }
    }
    return result;
}

/// The positions in either.
template <int A, int B>
UNMASK_HOST_DEVICE constexpr ranges<A + B> set_union(const ranges<A>& a, const ranges<B>& b) {
    ranges<A + B> result;
    int i = 0;
    int j = 0;
    while (i < a.count || j < b.count) {
        const bool from_a = j == b.count || (i < a.count && a[i].begin <= b[j].begin);
        result.append(from_a ? a[i++] : b[j++]);
    }
    return result;
}

/// The positions of [0, length) that are not in a.
template <int A>
UNMASK_HOST_DEVICE constexpr ranges<A + 1> complement(const ranges<A>& a, index_t length) {
    ranges<A + 1> result;
    index_t next = 0;
    for (const range& each : a) {
        result.append({next, detail::smaller(each.begin, length)});
        next = each.end;
    }
    result.append({next, length});
    return result;
}

UNMASK_NAMESPACE_END
