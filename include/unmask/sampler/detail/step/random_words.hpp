// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/random/philox.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The random numbers of one position at one step: words 0 and 1 for the token, words 2 and 3 for the order.
UNMASK_HOST_DEVICE inline four_words random_word_set(std::uint64_t seed, std::uint64_t id, index_t position,
                                                     std::uint32_t visit) {
    return philox_words(seed, id, std::uint64_t{visit} << 32 | static_cast<std::uint32_t>(position));
}
inline std::array<std::uint32_t, 4> random_words(std::uint64_t seed, std::uint64_t id, index_t position,
                                                 std::uint32_t visit) {
    const four_words made = random_word_set(seed, id, position, visit);
    return {made.word[0], made.word[1], made.word[2], made.word[3]};
}

} // namespace detail
UNMASK_NAMESPACE_END
