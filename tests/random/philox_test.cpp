// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <array>
#include <cmath>
#include <cstdint>
#include <set>

#include <doctest/doctest.h>

#include <unmask/random/philox.hpp>

using namespace unmask;

namespace {

using words = std::array<std::uint32_t, 4>;

constexpr std::uint32_t ones = 0xffffffffU;

} // namespace

TEST_CASE("philox 4x32-10 gives the known answers of the Random123 distribution (tests/kat_vectors)") {
    static_assert(philox{{0, 0}}({0, 0, 0, 0}) == words{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U});
    static_assert(philox{{ones, ones}}({ones, ones, ones, ones}) ==
                  words{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU});
    // Digits of pi.
    const philox generator{{0xa4093822U, 0x299f31d0U}};
    CHECK(generator({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}) ==
          words{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U});
}

TEST_CASE("every word of counter and key matters") {
    std::set<words> seen{philox{{0, 0}}({0, 0, 0, 0})};
    for (std::size_t i = 0; i < 4; ++i) {
        words counter{};
        counter[i] = 1;
        seen.insert(philox{{0, 0}}(counter));
    }
    seen.insert(philox{{1, 0}}({0, 0, 0, 0}));
    seen.insert(philox{{0, 1}}({0, 0, 0, 0}));
    CHECK(seen.size() == 7);
}

TEST_CASE("uniform_open stays inside (0, 1) and uses 52 bits") {
    static_assert(uniform_open(0, 0) == 0x1p-53);
    static_assert(uniform_open(ones, ones) == 1 - 0x1p-53);
    static_assert(uniform_open(0x80000000U, 0) == 0.5 + 0x1p-53);
    static_assert(uniform_open(0, 1U << 12) - uniform_open(0, 0) == 0x1p-52); // the lowest bit that counts
    static_assert(uniform_open(1, 0) - uniform_open(0, 0) == 0x1p-32);
    static_assert(uniform_open(0, 0xfffU) == uniform_open(0, 0));
}

TEST_CASE("uniform_open is uniform") {
    const std::uint32_t seed = 42;
    CAPTURE(seed);
    constexpr int cells = 64;
    constexpr int draws = 1 << 17;
    std::array<int, cells> counts{};
    double sum = 0;
    double squares = 0;
    double neighbours = 0; // products of successive deviations
    double previous = 0;
    for (std::uint32_t i = 0; i < draws / 2; ++i) {
        const words w = philox{{seed, 0}}({i, 0, 0, 0});
        for (const double u : {uniform_open(w[0], w[1]), uniform_open(w[2], w[3])}) {
            ++counts[static_cast<std::size_t>(u * cells)];
            const double deviation = u - 0.5;
            sum += deviation;
            squares += deviation * deviation;
            neighbours += deviation * previous;
            previous = deviation;
        }
    }
    double chi_squared = 0;
    const double expected = static_cast<double>(draws) / cells;
    for (const int count : counts) {
        chi_squared += (count - expected) * (count - expected) / expected;
    }
    // 63 degrees of freedom: mean 63, deviation 11.2; the others within five standard deviations.
    const double n = draws;
    CHECK(chi_squared > 63 - 4 * 11.3);
    CHECK(chi_squared < 63 + 5 * 11.3);
    CHECK(std::abs(sum / n) < 5 * std::sqrt(1.0 / 12 / n));
    CHECK(std::abs(squares / n - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / n));
    CHECK(std::abs(neighbours / n) < 5 * (1.0 / 12) / std::sqrt(n));
}
