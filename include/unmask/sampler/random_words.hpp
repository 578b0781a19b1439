// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/random/philox.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The random numbers of one position at one step: words 0 and 1 for the token, words 2 and 3 for the order.
inline std::array<std::uint32_t, 4> random_words(std::uint64_t seed, std::uint64_t id, index_t position,
                                                 std::uint32_t visit) {
    const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
    const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
    return philox{{low(seed), high(seed)}}({low(id), high(id), static_cast<std::uint32_t>(position), visit});
}

} // namespace detail
UNMASK_NAMESPACE_END
