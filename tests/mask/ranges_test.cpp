// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <doctest/doctest.h>

#include <unmask/mask/audit.hpp>
#include <unmask/mask/ranges.hpp>

using namespace unmask;

namespace {

constexpr int positions = 7;

// The set whose members are the bits of `bits`.
ranges<4> from_bits(unsigned bits) {
    ranges<4> result;
    for (int i = 0; i < positions; ++i) {
        if ((bits >> i & 1U) != 0) {
            result.append({i, i + 1});
        }
    }
    return result;
}

template <int Capacity>
unsigned to_bits(const ranges<Capacity>& list) {
    REQUIRE(detail::well_formed(list, positions));
    unsigned bits = 0;
    for (const range& each : list) {
        for (index_t i = each.begin; i < each.end; ++i) {
            bits |= 1U << i;
        }
    }
    return bits;
}

} // namespace

TEST_CASE("the algebra of ranges is that of sets, for all pairs of sets of seven positions") {
    const unsigned all = (1U << positions) - 1;
    long wrong = 0;
    for (unsigned a = 0; a <= all; ++a) {
        REQUIRE(to_bits(from_bits(a)) == a);
        REQUIRE(to_bits(complement(from_bits(a), positions)) == (~a & all));
        for (unsigned b = 0; b <= all; ++b) {
            wrong += to_bits(intersection(from_bits(a), from_bits(b))) == (a & b) ? 0 : 1;
            wrong += to_bits(set_union(from_bits(a), from_bits(b))) == (a | b) ? 0 : 1;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("append drops what is empty and joins what touches") {
    ranges<2> list;
    list.append({3, 3});
    CHECK(list.count == 0);
    list.append({1, 4});
    list.append({4, 6});
    list.append({2, 5});
    CHECK(list.count == 1);
    CHECK(list[0] == range{1, 6});
    list.append({8, 9});
    CHECK(list.count == 2);
    CHECK(list.contains(8));
    CHECK(!list.contains(6));
    static_assert(ranges<1>({2, 5}).contains(4) && !ranges<1>({2, 5}).contains(5) && ranges<1>({2, 2}).count == 0);
}
