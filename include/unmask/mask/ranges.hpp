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
        // Every item is asked whether it is the one: with constant indices, GPU compilers keep all of them in registers.
        bool merged = false;
        UNMASK_UNROLL
        for (int i = 0; i < Capacity; ++i) {
            if (i == count - 1 && next.begin <= items[i].end) {
                items[i].end = detail::larger(items[i].end, next.end);
                merged = true;
            }
        }
        if (!merged) {
            UNMASK_UNROLL
            for (int i = 0; i < Capacity; ++i) {
                items[i] = i == count ? next : items[i];
            }
            ++count;
        }
    }

    /// items[i], an empty range past the last one.
    UNMASK_HOST_DEVICE constexpr range at(int i) const {
        range result{};
        UNMASK_UNROLL
        for (int j = 0; j < Capacity; ++j) {
            result = j == i && j < count ? items[j] : result;
        }
        return result;
    }

    UNMASK_HOST_DEVICE constexpr const range* begin() const { return items; }
    UNMASK_HOST_DEVICE constexpr const range* end() const { return items + count; }
    UNMASK_HOST_DEVICE constexpr const range& operator[](int i) const { return items[i]; }

    UNMASK_HOST_DEVICE constexpr bool contains(index_t position) const {
        bool found = false;
        UNMASK_UNROLL
        for (int i = 0; i < Capacity; ++i) {
            found = found || (i < count && items[i].contains(position));
        }
        return found;
    }
};

/// The positions in both.
template <int A, int B>
UNMASK_HOST_DEVICE constexpr ranges<A + B - 1> intersection(const ranges<A>& a, const ranges<B>& b) {
    ranges<A + B - 1> result;
    UNMASK_UNROLL
    for (int i = 0; i < A; ++i) {
        UNMASK_UNROLL
        for (int j = 0; j < B; ++j) {
            result.append(detail::intersect(a.at(i), b.at(j)));
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
    UNMASK_UNROLL
    for (int step = 0; step < A + B; ++step) {
        const bool from_a = j >= b.count || (i < a.count && a.at(i).begin <= b.at(j).begin);
        result.append(from_a ? a.at(i) : b.at(j));
        i += from_a ? 1 : 0;
        j += from_a ? 0 : 1;
    }
    return result;
}

/// The positions of [0, length) that are not in a.
template <int A>
UNMASK_HOST_DEVICE constexpr ranges<A + 1> complement(const ranges<A>& a, index_t length) {
    ranges<A + 1> result;
    index_t next = 0;
    UNMASK_UNROLL
    for (int i = 0; i < A; ++i) {
        const range each = a.at(i);
        result.append({next, detail::smaller(each.empty() ? next : each.begin, length)});
        next = each.empty() ? next : each.end;
    }
    result.append({next, length});
    return result;
}

UNMASK_NAMESPACE_END
