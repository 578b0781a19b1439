// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// Philox 4x32-10, a counter-based generator: the same counter and key always give the same four words, on every device
/// and in any order (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
struct philox {
    std::array<std::uint32_t, 2> key{};

    /// Four independent uniform 32-bit words for one counter.
    [[nodiscard]] constexpr std::array<std::uint32_t, 4> operator()(std::array<std::uint32_t, 4> counter) const {
        std::uint32_t key0 = key[0];
        std::uint32_t key1 = key[1];
        for (int round = 0; round < 10; ++round) {
            const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
            const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
            counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0,
                       static_cast<std::uint32_t>(product1),
                       static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
                       static_cast<std::uint32_t>(product0)};
            key0 += 0x9E3779B9U;
            key1 += 0xBB67AE85U;
        }
        return counter;
    }
};

/// A double in (0, 1), never 0 or 1, from two words: 52 bits, offset by half a step, which a double holds exactly.
constexpr double uniform_open(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = (std::uint64_t{high} << 20) ^ (low >> 12);
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

UNMASK_NAMESPACE_END
