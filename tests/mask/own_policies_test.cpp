// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// Masks of a user's own, in a namespace of their own: what they need, and how they combine.
#include <type_traits>

#include <doctest/doctest.h>

#include <unmask/mask/audit.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/tiles.hpp>

// No `using namespace unmask` here: it would find the operators in any case.
namespace user {

using unmask::index_t;
using unmask::operator&&;
using unmask::operator||;
using unmask::operator!;

struct even_keys { // no more than a mask policy needs
    constexpr bool visible(index_t, index_t k) const { return k % 2 == 0; }
    constexpr auto classify(index_t, index_t, index_t, index_t) const { return unmask::tile_class::partial; }
    constexpr auto key_ranges(index_t, index_t, index_t keys) const { return unmask::ranges<1>({0, keys}); }
};

struct from_query_3 : even_keys { // and one more
    constexpr bool visible(index_t q, index_t) const { return q >= 3; }
    constexpr auto query_ranges(index_t, index_t, index_t queries) const { return unmask::ranges<1>({3, queries}); }
};

struct only_visible { // less
    constexpr bool visible(index_t q, index_t k) const { return (q + k) % 3 == 0; }
};

} // namespace user

static_assert(unmask::mask_policy<user::even_keys> && !unmask::row_mask_policy<user::even_keys>);
static_assert(!unmask::query_ranges_mask_policy<user::even_keys> &&
              unmask::query_ranges_mask_policy<user::from_query_3>);
static_assert(!unmask::mask_policy<user::only_visible> && unmask::mask_policy<unmask::predicate<user::only_visible>>);

TEST_CASE("two masks of a user's own combine where their namespace declares the operators") {
    constexpr user::even_keys a;
    constexpr user::from_query_3 b;
    static_assert(std::is_same_v<decltype(a && b), unmask::mask_and<user::even_keys, user::from_query_3>>);
    static_assert((a && b).visible(3, 2) && !(a && b).visible(2, 2) && !(a && b).visible(3, 1));
    static_assert((a || b).visible(2, 2) && (a || b).visible(3, 1) && !(a || b).visible(2, 1));
    static_assert((!a).visible(0, 1) && !(!a).visible(0, 2));
    for (const unmask::mask_audit& report : {audit(a && b, 12, 12), audit(a || !b, 12, 12), audit(b && a, 12, 12),
                                             audit(unmask::extra_sink{a || b, 4, 2}, 12, 12)}) {
        CAPTURE(report.text());
        CHECK(report.correct());
    }
}

TEST_CASE("a mask that does not bound its queries is asked about all of them") {
    static_assert((user::even_keys{} && unmask::causal{}).query_ranges(5, 6, 9)[0] == unmask::range{5, 9});
    static_assert((user::even_keys{} || user::from_query_3{}).query_ranges(5, 6, 9)[0] == unmask::range{0, 9});
    static_assert((user::even_keys{} && user::from_query_3{}).query_ranges(5, 6, 9)[0] == unmask::range{3, 9});
    int tiles = 0;
    unmask::for_each_query_tile(user::even_keys{}, 0, 4, 0, 12, 4, [&](auto, auto, unmask::tile_class) { ++tiles; });
    CHECK(tiles == 3);
    tiles = 0;
    unmask::for_each_query_tile(user::from_query_3{}, 0, 4, 0, 12, 3, [&](auto, auto, unmask::tile_class) { ++tiles; });
    CHECK(tiles == 3); // not the first, of queries 0 to 2
}

TEST_CASE("a mask with visible alone is a predicate") {
    const unmask::predicate mask(user::only_visible{});
    CHECK(mask.visible(1, 2));
    CHECK(!mask.visible(1, 1));
    const unmask::mask_audit report = unmask::audit(mask, 40, 30, 10);
    CHECK(report.correct());
    CHECK(report.partial_tiles == 12); // no tile is skipped
    CHECK(report.visible_scores == 400);
    // A whole policy in a predicate means the same, and its classify is not asked.
    CHECK(unmask::audit(unmask::predicate(unmask::causal{}), 40, 40, 10).full_tiles == 0);
    CHECK(unmask::predicate(unmask::causal{}).visible(4, 4));
}
