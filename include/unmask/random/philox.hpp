// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstdint>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

struct four_words {
    std::uint32_t word[4];
};

// Philox for code that can't use std::array.
UNMASK_HOST_DEVICE constexpr four_words philox_words(std::uint64_t key, std::uint64_t low, std::uint64_t high) {
    auto key0 = static_cast<std::uint32_t>(key);
    auto key1 = static_cast<std::uint32_t>(key >> 32);
    std::uint32_t c0 = static_cast<std::uint32_t>(low);
    std::uint32_t c1 = static_cast<std::uint32_t>(low >> 32);
    std::uint32_t c2 = static_cast<std::uint32_t>(high);
    std::uint32_t c3 = static_cast<std::uint32_t>(high >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * c0;
        const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * c2;
        c0 = static_cast<std::uint32_t>(product1 >> 32) ^ c1 ^ key0;
        c1 = static_cast<std::uint32_t>(product1);
        c2 = static_cast<std::uint32_t>(product0 >> 32) ^ c3 ^ key1;
        c3 = static_cast<std::uint32_t>(product0);
        key0 += 0x9E3779B9U;
        key1 += 0xBB67AE85U;
    }
    return {{c0, c1, c2, c3}};
}

} // namespace detail

/// Philox 4x32-10, a counter-based generator: equal counters and keys give equal words, on every device and in any
/// order (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
struct philox {
    std::array<std::uint32_t, 2> key{}; ///< for instance the two halves of a seed

    /// Four independent uniform 32-bit words for a counter.
    [[nodiscard]] constexpr std::array<std::uint32_t, 4> operator()(std::array<std::uint32_t, 4> counter) const {
        const auto joined = [](std::uint32_t low, std::uint32_t high) { return std::uint64_t{high} << 32 | low; };
        const auto made = detail::philox_words(joined(key[0], key[1]), joined(counter[0], counter[1]),
                                               joined(counter[2], counter[3]));
        return {made.word[0], made.word[1], made.word[2], made.word[3]};
    }
};

/// A uniform double in (0, 1), never 0 or 1, from two uniform words: 52 bits plus half a step,
/// which is exact in a double.
UNMASK_HOST_DEVICE constexpr double uniform_open(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = (std::uint64_t{high} << 20) ^ (low >> 12);
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
}

UNMASK_NAMESPACE_END
