// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <limits>
#include <string>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/block_diffusion.hpp>
#include <unmask/mask/causal.hpp>
#include <unmask/mask/detail/check.hpp>
#include <unmask/mask/document.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/predicate.hpp>
#include <unmask/mask/prefix.hpp>
#include <unmask/mask/shadow_block.hpp>
#include <unmask/mask/sliding_window.hpp>

using namespace unmask;

namespace {

constexpr index_t farthest = std::numeric_limits<index_t>::max();

template <class Mask>
std::string message_of(const Mask& mask) {
    try {
        detail::check_mask("attention_forward", mask);
    } catch (const invalid_argument& error) {
        return error.what();
    }
    return "";
}

} // namespace

TEST_CASE("a parameter out of bounds is reported with its name, its value and what was expected") {
    CHECK(message_of(block{0}) == "attention_forward: mask block.size is 0, expected at least 1");
    CHECK(message_of(sliding_window{-1, 0}) ==
          "attention_forward: mask sliding_window.left is -1, expected at least 0");
    CHECK(message_of(sliding_window{0, -2}) ==
          "attention_forward: mask sliding_window.right is -2, expected at least 0");
    CHECK(message_of(prefix{-1}) == "attention_forward: mask prefix.length is -1, expected at least 0");
    CHECK(message_of(document{nullptr, -4}) == "attention_forward: mask document.length is -4, expected at least 0");
    CHECK(message_of(document{nullptr, 4}) ==
          "attention_forward: mask document.length is 4, expected 0, as documents is null");
    CHECK(message_of(block_diffusion{-1, 2}) ==
          "attention_forward: mask block_diffusion.length is -1, expected at least 0");
    CHECK(message_of(block_diffusion{4, 0}) ==
          "attention_forward: mask block_diffusion.size is 0, expected at least 1");
    CHECK(message_of(shadow_block{4, -1, 2}) ==
          "attention_forward: mask shadow_block.begin is -1, expected at least 0");
    CHECK(message_of(shadow_block{4, 1, -1}) == "attention_forward: mask shadow_block.size is -1, expected at least 0");
    CHECK(message_of(shadow_block{4, 2, 3}) ==
          "attention_forward: mask shadow_block.length is 4, expected at least begin + size");
    CHECK(message_of(extra_sink{causal{}, -1}) ==
          "attention_forward: mask extra_sink.position is -1, expected at least 0");
    CHECK(message_of(extra_sink{causal{}, 0, -1}) ==
          "attention_forward: mask extra_sink.count is -1, expected at least 0");
}

TEST_CASE("positions from 2^62 on are out of bounds") {
    constexpr index_t most = most_positions;
    CHECK(message_of(extra_sink{causal{}, most, 1}) ==
          "attention_forward: mask extra_sink.position is 4611686018427387904, expected at most 2^62 − count");
    CHECK(message_of(extra_sink{causal{}, farthest, farthest}) ==
          "attention_forward: mask extra_sink.position is 9223372036854775807, expected at most 2^62 − count");
    CHECK(message_of(block_diffusion{most / 2 + 1, 4}) ==
          "attention_forward: mask block_diffusion.length is 2305843009213693953, expected at most 2^61");
    CHECK(message_of(shadow_block{farthest, farthest, 0}) ==
          "attention_forward: mask shadow_block.length is 9223372036854775807, expected at most 2^61");
}

namespace {

// Asks a mask everything about some queries and keys. Where an index overflows, this is no constant.
template <class Mask>
constexpr bool answers(const Mask& mask, range queries, range keys) {
    bool any = mask.visible(queries.end - 1, keys.end - 1) || mask.visible(queries.begin, keys.begin);
    any = mask.classify(queries.begin, queries.end, keys.begin, keys.end) == tile_class::full || any;
    any = !mask.key_ranges(queries.begin, queries.end, keys.end).at(0).empty() || any;
    any = !detail::query_ranges_of(mask, keys.begin, keys.end, queries.end).at(0).empty() || any;
    any = !mask.row(queries.end - 1, keys.end).at(0).empty() || any;
    return any || true;
}
template <class Mask>
constexpr bool stays_in_range(const Mask& mask) {
    constexpr range ends[] = {{0, 1}, {0, most_positions}, {most_positions - 7, most_positions}};
    bool all = !detail::fault_of(mask);
    for (const range& queries : ends) {
        for (const range& keys : ends) {
            all = answers(mask, queries, keys) && all;
        }
    }
    return all;
}

// With the largest parameters, too.
constexpr index_t half = most_positions / 2;
static_assert(stays_in_range(bidirectional{}));
static_assert(stays_in_range(causal{}));
static_assert(stays_in_range(block{1}));
static_assert(stays_in_range(block{5}));
static_assert(stays_in_range(block{most_positions - 1}));
static_assert(stays_in_range(block{farthest}));
static_assert(stays_in_range(sliding_window{3, 4}));
static_assert(stays_in_range(sliding_window{farthest, farthest}));
static_assert(stays_in_range(prefix{farthest}));
static_assert(stays_in_range(block_diffusion{half, 5}));
static_assert(stays_in_range(block_diffusion{half, farthest}));
static_assert(stays_in_range(shadow_block{half, 0, half}));
static_assert(stays_in_range(shadow_block{half, half, 0}));
static_assert(stays_in_range(extra_sink{block{7}, 0, most_positions}));
static_assert(stays_in_range(extra_sink{causal{}, most_positions, 0}));
static_assert(stays_in_range(extra_sink{sliding_window{farthest, farthest}, half, half}));
static_assert(stays_in_range(extra_sink{extra_sink{causal{}, 5, 1}, most_positions - 1, 1}));
static_assert(stays_in_range(causal{} && block{farthest}));
static_assert(stays_in_range(prefix{farthest} || block{6}));
static_assert(stays_in_range(!block{farthest}));

} // namespace

TEST_CASE("a fault is found inside composed masks") {
    const std::string expected = "attention_forward: mask block.size is 0, expected at least 1";
    CHECK(message_of(extra_sink{block{0}}) == expected);
    CHECK(message_of(causal{} && block{0}) == expected);
    CHECK(message_of(block{0} || causal{}) == expected);
    CHECK(message_of(!(causal{} && extra_sink{!block{0}})) == expected);
}

TEST_CASE("masks in bounds, and masks without parameters, are not faulty") {
    CHECK(message_of(causal{}) == "");
    CHECK(message_of(predicate([](index_t, index_t) { return true; })) == "");
    CHECK(message_of(extra_sink{block{1}, 0, 0} && prefix{0} && sliding_window{0, 0}) == "");
    CHECK(message_of(shadow_block{4, 1, 3} || block_diffusion{0, 1}) == "");
}
