// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
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
