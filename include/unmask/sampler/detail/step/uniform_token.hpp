// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/vocabulary.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// A uniform token among those that a position can hold, from two random words.
inline token_t uniform_token(const vocabulary& tokens, std::uint32_t high, std::uint32_t low) {
    const bool has_mask = tokens.mask < tokens.size;
    const token_t count = tokens.size - (has_mask ? 1 : 0);
    const auto token = static_cast<token_t>(uniform_open(high, low) * static_cast<double>(count));
    return token + (has_mask && token >= tokens.mask ? 1 : 0);
}

} // namespace detail
UNMASK_NAMESPACE_END
