// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/hidden_keys.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

#include "exhaustive.hpp"

using namespace unmask;
using mask_test::call;
using mask_test::check_mask;

namespace {

constexpr index_t size = 12;
constexpr index_t huge = std::numeric_limits<index_t>::max();

} // namespace

TEST_CASE("bidirectional and causal agree with visible") {
    check_mask("bidirectional", bidirectional{}, size);
    check_mask("causal", causal{}, size);
    static_assert(bidirectional{}.visible(0, 5));
    static_assert(causal{}.visible(5, 5) && !causal{}.visible(4, 5));
}

TEST_CASE("block agrees with visible for every size") {
    for (index_t width = 1; width <= size + 1; ++width) {
        check_mask(call("block", {width}), block{width}, size);
    }
    check_mask("block{huge}", block{huge}, size);
    static_assert(block{4}.visible(4, 7) && block{4}.visible(7, 0) && !block{4}.visible(3, 4));
}

TEST_CASE("block{1} is causal and block{length} is bidirectional") {
    for (index_t q = 0; q < size; ++q) {
        for (index_t k = 0; k < size; ++k) {
            REQUIRE(block{1}.visible(q, k) == causal{}.visible(q, k));
            REQUIRE(block{size}.visible(q, k));
        }
    }
}

TEST_CASE("sliding_window agrees with visible for every width") {
    for (index_t left = 0; left <= size; left = left < 6 ? left + 1 : left + 3) {
        for (index_t right = 0; right <= size; right = right < 6 ? right + 1 : right + 3) {
            check_mask(call("sliding_window", {left, right}), sliding_window{left, right}, size);
        }
    }
    check_mask("sliding_window{huge, 0}", sliding_window{huge, 0}, size);
    check_mask("sliding_window{huge, huge}", sliding_window{huge, huge}, size);
    static_assert(sliding_window{2, 1}.visible(5, 3) && sliding_window{2, 1}.visible(5, 6));
    static_assert(!sliding_window{2, 1}.visible(5, 2) && !sliding_window{2, 1}.visible(5, 7));
}

TEST_CASE("prefix agrees with visible for every length") {
    for (index_t length = 0; length <= size + 1; ++length) {
        check_mask(call("prefix", {length}), prefix{length}, size);
    }
    static_assert(prefix{3}.visible(0, 2) && !prefix{3}.visible(0, 3) && prefix{3}.visible(4, 4));
}

TEST_CASE("document agrees with visible for every partition") {
    // Bit i of `cuts` starts a new document at position i + 1: all 2^(length − 1) partitions.
    for (const index_t length : {1, 2, 5, 8}) {
        for (unsigned cuts = 0; cuts < 1U << (length - 1); ++cuts) {
            std::vector<index_t> lengths{1};
            for (index_t i = 0; i + 1 < length; ++i) {
                if ((cuts >> i & 1U) != 0) {
                    lengths.push_back(1);
                } else {
                    ++lengths.back();
                }
            }
            const std::vector<range> spans = document_ranges(lengths);
            REQUIRE(spans.size() == static_cast<std::size_t>(length));
            check_mask(call("document, cuts", {length, static_cast<index_t>(cuts)}), document{spans}, length + 2);
        }
    }
    check_mask("document, none", document{nullptr, 0}, 3);
}

TEST_CASE("document_ranges gives each position its own document") {
    const std::vector<index_t> lengths{2, 0, 3};
    const std::vector<range> spans = document_ranges(lengths);
    CHECK(spans == std::vector<range>{{0, 2}, {0, 2}, {2, 5}, {2, 5}, {2, 5}});
    static constexpr range two[] = {{0, 2}, {0, 2}, {2, 3}};
    static_assert(document{two, 3}.visible(0, 1) && !document{two, 3}.visible(1, 2) && !document{two, 3}.visible(3, 3));
}

TEST_CASE("hidden_keys agrees with visible for every set of keys") {
    for (const index_t length : {0, 1, 2, 5, 8}) {
        for (unsigned set = 0; set < 1U << length; ++set) {
            std::vector<std::uint8_t> hidden;
            for (index_t i = 0; i < length; ++i) {
                hidden.push_back(static_cast<std::uint8_t>(set >> i & 1U));
            }
            const std::vector<range> runs = hidden_runs(hidden);
            for (const own_position own : {own_position::as_others, own_position::visible}) {
                const bool sees_itself = own == own_position::visible;
                CAPTURE(sees_itself);
                const hidden_keys mask{runs, own};
                // key_ranges has no gaps for keys that are hidden between visible ones; all else is exact.
                check_mask(call("hidden_keys, set", {length, static_cast<index_t>(set)}), mask, length + 2,
                           {true, false});
                long wrong = 0;
                for (index_t q = 0; q < length + 3; ++q) {
                    for (index_t k = 0; k < length + 3; ++k) {
                        const bool is_hidden = k < length && hidden[static_cast<std::size_t>(k)] != 0;
                        wrong += mask.visible(q, k) == (!is_hidden || (sees_itself && q == k)) ? 0 : 1;
                    }
                }
                CHECK(wrong == 0);
            }
        }
    }
    check_mask("hidden_keys, none", hidden_keys{nullptr, 0}, 3);
}

TEST_CASE("hidden_runs gives each position the first run that ends after it") {
    const std::vector<std::uint8_t> hidden{0, 1, 1, 0, 0, 1, 0};
    CHECK(hidden_runs(hidden) == std::vector<range>{{1, 3}, {1, 3}, {1, 3}, {5, 6}, {5, 6}, {5, 6}, {7, 7}});
    static constexpr range runs[] = {{1, 3}, {1, 3}, {1, 3}, {4, 4}};
    static_assert(hidden_keys{runs, 4}.visible(1, 0) && !hidden_keys{runs, 4}.visible(1, 1));
    static_assert(hidden_keys{runs, 4, own_position::visible}.visible(1, 1) &&
                  !hidden_keys{runs, 4, own_position::visible}.visible(1, 2));
    static_assert(hidden_keys{runs, 4}.classify(0, 9, 1, 3) == tile_class::empty);
    static_assert(hidden_keys{runs, 4}.key_ranges(0, 9, 3)[0] == range{0, 1}); // what ends hidden is cut off
    static_assert(hidden_keys{runs, 4, own_position::visible}.key_ranges(2, 3, 3)[1] == range{2, 3});
    static_assert(hidden_keys{runs, 4}.query_ranges(1, 3, 9).count == 0);
}

TEST_CASE("block_diffusion agrees with visible for every length and block size") {
    for (index_t length = 0; length <= 6; ++length) {
        for (index_t width = 1; width <= length + 1; ++width) {
            check_mask(call("block_diffusion", {length, width}), block_diffusion{length, width}, 2 * length + 2);
        }
    }
}

TEST_CASE("block_diffusion is M_BD, M_OBC and M_BC of the paper") {
    const index_t length = 7;
    const index_t width = 3;
    const block_diffusion mask{length, width};
    for (index_t q = 0; q < 2 * length; ++q) {
        for (index_t k = 0; k < 2 * length; ++k) {
            const bool clean_query = q >= length;
            const bool clean_key = k >= length;
            const index_t query_block = (clean_query ? q - length : q) / width;
            const index_t key_block = (clean_key ? k - length : k) / width;
            const bool block_diagonal = query_block == key_block && clean_query == clean_key;
            const bool offset_block_causal = query_block > key_block && clean_key && !clean_query;
            const bool block_causal = query_block >= key_block && clean_key && clean_query;
            CAPTURE(q);
            CAPTURE(k);
            REQUIRE(mask.visible(q, k) == (block_diagonal || offset_block_causal || block_causal));
        }
    }
}

TEST_CASE("shadow_block agrees with visible for every canvas and block") {
    for (index_t length = 0; length <= 6; ++length) {
        for (index_t begin = 0; begin <= length; ++begin) {
            for (index_t width = 0; begin + width <= length; ++width) {
                check_mask(call("shadow_block", {length, begin, width}), shadow_block{length, begin, width},
                           length + width + 2);
            }
        }
    }
}

TEST_CASE("shadow_block leaves out the token that a shadow position stands for, and nothing else") {
    constexpr shadow_block mask{6, 2, 3}; // shadow positions 6, 7, 8 stand for 2, 3, 4
    const char* const picture[] = {"######...", "######...", "######...", "######...", "######...",
                                   "######...", "##.######", "###.#####", "####.####"};
    for (index_t q = 0; q < 9; ++q) {
        for (index_t k = 0; k < 9; ++k) {
            CAPTURE(q);
            CAPTURE(k);
            REQUIRE(mask.visible(q, k) == (picture[q][k] == '#'));
        }
    }
}

TEST_CASE("policies are small trivially copyable values") {
    static_assert(std::is_trivially_copyable_v<bidirectional> && std::is_empty_v<bidirectional>);
    static_assert(std::is_trivially_copyable_v<causal> && std::is_empty_v<causal>);
    static_assert(std::is_trivially_copyable_v<block> && sizeof(block) == 8);
    static_assert(std::is_trivially_copyable_v<sliding_window> && sizeof(sliding_window) == 16);
    static_assert(std::is_trivially_copyable_v<prefix> && sizeof(prefix) == 8);
    static_assert(std::is_trivially_copyable_v<document> && sizeof(document) == 16);
    static_assert(std::is_trivially_copyable_v<block_diffusion> && sizeof(block_diffusion) == 16);
    static_assert(std::is_trivially_copyable_v<hidden_keys> && sizeof(hidden_keys) == 24);
    static_assert(std::is_trivially_copyable_v<shadow_block> && sizeof(shadow_block) == 24);
}
