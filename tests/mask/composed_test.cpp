// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/hidden_keys.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

#include "exhaustive.hpp"

using namespace unmask;
using mask_test::call;
using mask_test::check_mask;
using mask_test::correct_only;
using mask_test::promises;

namespace {

constexpr index_t size = 10;

// What a user writes: every `stride`-th key is seen, with no row() and lazy classes.
struct strided {
    index_t stride;

    constexpr bool visible(index_t, index_t k) const { return k % stride == 0; }
    constexpr tile_class classify(index_t, index_t, index_t, index_t) const { return tile_class::partial; }
    constexpr ranges<1> key_ranges(index_t, index_t, index_t keys) const { return ranges<1>({0, keys}); }
    constexpr ranges<1> query_ranges(index_t, index_t, index_t queries) const { return ranges<1>({0, queries}); }
};

template <class A, class B>
concept combines = requires(A a, B b) {
    a && b;
    a || b;
    !a;
};

// The sink mask from its definition, with the content positions counted one by one.
template <class Inner>
bool visible_by_definition(const extra_sink<Inner>& mask, index_t q, index_t k) {
    const auto is_sink = [&](index_t at) { return at >= mask.position && at < mask.position + mask.count; };
    const auto content = [&](index_t at) {
        index_t before = 0;
        for (index_t i = 0; i < at; ++i) {
            before += is_sink(i) ? 0 : 1;
        }
        return before;
    };
    if (is_sink(q)) {
        return k == q;
    }
    return is_sink(k) || mask.inner.visible(content(q), content(k));
}

template <class Inner>
void check_sinks(const char* name, const Inner& inner, promises promised = {}) {
    for (const index_t position : {0, 1, 4, 9, 10, 13}) {
        for (index_t count = 0; count <= 3; ++count) {
            const extra_sink mask{inner, position, count};
            check_mask(call(name, {position, count}), mask, size, promised);
            long wrong = 0;
            for (index_t q = 0; q < size + 6; ++q) {
                for (index_t k = 0; k < size + 6; ++k) {
                    wrong += mask.visible(q, k) == visible_by_definition(mask, q, k) ? 0 : 1;
                }
            }
            CAPTURE(name);
            CAPTURE(position);
            CAPTURE(count);
            CHECK(wrong == 0);
        }
    }
}

} // namespace

TEST_CASE("extra_sink agrees with visible at any position and count") {
    const std::vector<index_t> lengths{3, 1, 4};
    const std::vector<range> spans = document_ranges(lengths);
    check_sinks("extra_sink{bidirectional}", bidirectional{});
    check_sinks("extra_sink{causal}", causal{});
    check_sinks("extra_sink{block{3}}", block{3});
    check_sinks("extra_sink{sliding_window{2, 1}}", sliding_window{2, 1});
    check_sinks("extra_sink{prefix{4}}", prefix{4});
    check_sinks("extra_sink{document}", document{spans});
    check_sinks("extra_sink{block_diffusion{4, 2}}", block_diffusion{4, 2});
    check_sinks("extra_sink{shadow_block{5, 1, 3}}", shadow_block{5, 1, 3});
    check_sinks("extra_sink{strided{2}}", strided{2}, correct_only);
}

TEST_CASE("hidden_keys composes with the others") {
    for (unsigned set = 0; set < 1U << 7; set += 3) {
        std::vector<std::uint8_t> hidden;
        for (index_t i = 0; i < 7; ++i) {
            hidden.push_back(static_cast<std::uint8_t>(set >> i & 1U));
        }
        const std::vector<range> runs = hidden_runs(hidden);
        CAPTURE(set);
        for (const own_position own : {own_position::as_others, own_position::visible}) {
            const hidden_keys keys{runs, own};
            check_mask("extra_sink{hidden_keys}", extra_sink{keys}, size, {true, false});
            check_mask("extra_sink{hidden_keys, 3, 2}", extra_sink{keys, 3, 2}, size, {true, false});
            check_mask("hidden_keys && causal", keys && causal{}, size, correct_only);
            check_mask("hidden_keys || block{2}", keys || block{2}, size, correct_only);
            check_mask("!hidden_keys", !keys, size, {true, false});
        }
        const std::vector<range> documents = document_ranges(std::vector<index_t>{3, 4});
        check_mask("document && hidden_keys", document{documents} && hidden_keys{runs}, size, correct_only);
    }
}

TEST_CASE("extra_sink is equation 6 of the paper by default") {
    static_assert(std::is_same_v<decltype(extra_sink{bidirectional{}}), extra_sink<bidirectional>>);
    constexpr extra_sink mask{bidirectional{}};
    static_assert(mask.position == 0 && mask.count == 1);
    for (index_t q = 0; q < size; ++q) {
        for (index_t k = 0; k < size; ++k) {
            REQUIRE(mask.visible(q, k) == !(q == 0 && k != 0));
        }
    }
}

TEST_CASE("extra_sink nests: sinks added one at a time are sinks") {
    check_mask("extra_sink{extra_sink{block{2}}, 3, 2}", extra_sink{extra_sink{block{2}}, 3, 2}, size);
    check_mask("extra_sink{extra_sink{causal{}, 4, 2}}", extra_sink{extra_sink{causal{}, 4, 2}}, size);
}

TEST_CASE("and, or and not agree with visible") {
    check_mask("causal && sliding_window{2, 2}", causal{} && sliding_window{2, 2}, size, correct_only);
    check_mask("block{3} && !causal", block{3} && !causal{}, size, correct_only);
    check_mask("sliding_window{1, 1} || prefix{2}", sliding_window{1, 1} || prefix{2}, size, correct_only);
    check_mask("causal || sliding_window{0, 3}", causal{} || sliding_window{0, 3}, size, correct_only);
    check_mask("!causal", !causal{}, size, {true, false});
    check_mask("!block{4}", !block{4}, size, {true, false});
    check_mask("!!block_diffusion{4, 2}", !!block_diffusion{4, 2}, size, {true, false});
    check_mask("!extra_sink{causal, 2, 2}", !extra_sink{causal{}, 2, 2}, size, {true, false});
    check_mask("extra_sink{causal && sliding_window{3, 0}, 1, 2}", extra_sink{causal{} && sliding_window{3, 0}, 1, 2},
               size, correct_only);
    check_mask("(block{2} || shadow_block{4, 1, 2}) && !extra_sink{causal}",
               (block{2} || shadow_block{4, 1, 2}) && !extra_sink{causal{}}, size, correct_only);
    check_mask("extra_sink{!sliding_window{1, 1}, 5}", extra_sink{!sliding_window{1, 1}, 5}, size, {true, false});
    check_mask("strided{3} && causal", strided{3} && causal{}, size, correct_only);
    check_mask("strided{3} || document", strided{3} || document{nullptr, 0}, size, correct_only);
}

TEST_CASE("and, or and not mean what the words say") {
    for (index_t q = 0; q < size; ++q) {
        for (index_t k = 0; k < size; ++k) {
            const bool a = causal{}.visible(q, k);
            const bool b = sliding_window{1, 2}.visible(q, k);
            REQUIRE((causal{} && sliding_window{1, 2}).visible(q, k) == (a && b));
            REQUIRE((causal{} || sliding_window{1, 2}).visible(q, k) == (a || b));
            REQUIRE((!causal{}).visible(q, k) == !a);
        }
    }
}

TEST_CASE("tile classes follow Kleene's tables") {
    // Against strided, which always says partial: partial && empty = empty, partial || full = full.
    constexpr strided unknown{2};
    static_assert((unknown && causal{}).classify(0, 2, 5, 6) == tile_class::empty);
    static_assert((unknown && causal{}).classify(5, 6, 0, 2) == tile_class::partial);
    static_assert((unknown || causal{}).classify(5, 6, 0, 2) == tile_class::full);
    static_assert((unknown || causal{}).classify(0, 2, 5, 6) == tile_class::partial);
    static_assert((!unknown).classify(0, 2, 5, 6) == tile_class::partial);
    static_assert((causal{} && bidirectional{}).classify(5, 6, 0, 2) == tile_class::full);
    static_assert((causal{} || causal{}).classify(0, 2, 5, 6) == tile_class::empty);
}

TEST_CASE("the ranges of and are intersected, those of or united") {
    static_assert((causal{} && sliding_window{3, 9}).key_ranges(5, 6, 9)[0] == range{2, 6});
    static_assert((causal{} && sliding_window{3, 9}).query_ranges(5, 6, 99)[0] == range{5, 9});
    static_assert((prefix{2} && sliding_window{1, 1}).row(6, 9)[0] == range{5, 7});
    static_assert((sliding_window{1, 0} || prefix{2}).key_ranges(6, 7, 9)[0] == range{0, 7});
    static_assert((sliding_window{1, 0} || block_diffusion{4, 2}).query_ranges(5, 6, 8)[0] == range{2, 8});
    constexpr auto both_ends = (sliding_window{0, 0} || !sliding_window{2, 2}).row(4, 9);
    static_assert(both_ends.count == 3 && both_ends[0] == range{0, 2} && both_ends[1] == range{4, 5} &&
                  both_ends[2] == range{7, 9});
}

TEST_CASE("predicate agrees with visible") {
    index_t stride = 3;
    const predicate diagonal_band([stride](index_t q, index_t k) { return (q + k) % stride != 0; });
    static_assert(mask_policy<decltype(diagonal_band)> && !row_mask_policy<decltype(diagonal_band)>);
    check_mask("predicate", diagonal_band, size, correct_only);
    check_mask("extra_sink{predicate, 2, 2}", extra_sink{diagonal_band, 2, 2}, size, correct_only);
    check_mask("predicate && causal", diagonal_band && causal{}, size, correct_only);
    check_mask("!predicate", !diagonal_band, size, correct_only);
    static_assert(predicate([](index_t q, index_t k) { return q == k; }).visible(3, 3));
}

TEST_CASE("row is there only where every part has one") {
    static_assert(row_mask_policy<decltype(causal{} && block{2})>);
    static_assert(row_mask_policy<decltype(extra_sink{!block{2}})>);
    static_assert(mask_policy<decltype(causal{} && strided{2})> && !row_mask_policy<decltype(causal{} && strided{2})>);
    static_assert(!row_mask_policy<decltype(!strided{2})> && !row_mask_policy<decltype(extra_sink{strided{2}})>);
    static_assert(std::is_trivially_copyable_v<decltype(extra_sink{!block{2} && strided{2}})>);
}

TEST_CASE("the operators leave other types alone") {
    static_assert(combines<causal, block>);
    static_assert(!combines<int*, causal> && !combines<causal, bool> && !combines<int, block>);
}
