// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What unmask/cuda/runtime/device.cuh promises.

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>

#include "attention/device_memory.hpp"
#include "device_functions.cuh"

using test::device_array;
using unmask::bfloat16;
using unmask::float16;

TEST_CASE("load_matrices: who gets what") {
    std::vector<std::uint16_t> numbers(4 * 8 * 8);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = static_cast<std::uint16_t>(i);
    }
    const device_array<std::uint16_t> matrices(numbers);
    const device_array<std::uint32_t> plain(32 * 4);
    const device_array<std::uint32_t> transposed(32 * 4);
    unmask::detail::launch(test::load_four_matrices, 1, 32, 512, nullptr,
                           test::load_case{matrices.data(), plain.data(), transposed.data()});
    const auto got = plain.to_host();
    const auto got_transposed = transposed.to_host();
    for (unsigned lane = 0; lane < 32; ++lane) {
        for (unsigned m = 0; m < 4; ++m) {
            const unsigned across = lane / 4;
            const unsigned along = 2 * (lane % 4);
            const auto element = [&](unsigned row, unsigned column) { return 64 * m + 8 * row + column; };
            CHECK(got[4 * lane + m] == (element(across, along) | element(across, along + 1) << 16));
            CHECK(got_transposed[4 * lane + m] == (element(along, across) | element(along + 1, across) << 16));
        }
    }
}

TEST_CASE("shuffle_xor and ballot") {
    std::vector<float> numbers(32);
    for (std::size_t i = 0; i < 32; ++i) {
        numbers[i] = static_cast<float>(i);
    }
    const device_array<float> values(numbers);
    const device_array<float> shuffled(32 * 32);
    const device_array<std::uint32_t> ballots(32);
    unmask::detail::launch(test::exchange, 1, 32, 0, nullptr,
                           test::warp_case{values.data(), shuffled.data(), ballots.data()});
    const auto got = shuffled.to_host();
    for (std::size_t mask = 0; mask < 32; ++mask) {
        for (std::size_t lane = 0; lane < 32; ++lane) {
            CHECK(got[32 * mask + lane] == static_cast<float>(lane ^ mask));
        }
    }
    CHECK(ballots.to_host() == std::vector<std::uint32_t>(32, 0xfffe0000U));
}

namespace {

// The largest error of a product by the tensor cores, against the plain sum.
template <class T, bool right>
float product_error() {
    std::mt19937 random(7);
    std::uniform_int_distribution<int> digits(-8, 8);
    std::vector<float> numbers(32 * 16 + 16 * 16);
    std::vector<std::uint16_t> bits(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = static_cast<float>(digits(random)) * 0.25F;
        bits[i] = T(numbers[i]).bits;
    }
    const device_array<std::uint16_t> a(std::vector<std::uint16_t>(bits.begin(), bits.begin() + 32 * 16));
    const device_array<std::uint16_t> b(std::vector<std::uint16_t>(bits.begin() + 32 * 16, bits.end()));
    const device_array<float> c(32 * 16);
    unmask::detail::launch(test::tile_product<T, right>, 1, 64, test::product_shared_bytes, nullptr,
                           test::product_case{a.data(), b.data(), c.data()});
    const auto got = c.to_host();
    float error = 0;
    for (std::size_t row = 0; row < 32; ++row) {
        for (std::size_t column = 0; column < 16; ++column) {
            float expected = 0;
            for (std::size_t k = 0; k < 16; ++k) {
                expected += numbers[16 * row + k] * numbers[32 * 16 + 16 * k + column];
            }
            const float apart = std::fabs(expected - got[16 * row + column]);
            error = std::max(error, std::isnan(apart) ? std::numeric_limits<float>::infinity() : apart);
        }
    }
    return error;
}

} // namespace

TEST_CASE("a product by fragments is the plain product, and a wrong column shows") {
    CHECK(product_error<bfloat16, true>() == 0.0F);
    CHECK(product_error<float16, true>() == 0.0F);
    CHECK(product_error<bfloat16, false>() > 1.0F);
}

namespace {

test::float_results of(float a, float b = 0) {
    const device_array<test::float_results> results(std::size_t{1});
    unmask::detail::launch(test::apply_to_floats, 1, 1, 0, nullptr, test::float_case{a, b, results.data()});
    return results.to_host()[0];
}
test::word_results of_word(std::uint32_t word, std::uint32_t by = 0) {
    const device_array<test::word_results> results(std::size_t{1});
    unmask::detail::launch(test::apply_to_words, 1, 1, 0, nullptr, test::word_case{word, by, results.data()});
    return results.to_host()[0];
}

} // namespace

TEST_CASE("pack rounds to nearest, ties to even, and knows one NaN") {
    const float infinity = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(of(1.0F, -2.0F).bfloat_pair == 0xc0003f80U);
    CHECK(of(0x1.01p0F, 0x1.03p0F).bfloat_pair == 0x3f823f80U); // ties, down and up
    CHECK(of(0x1.010002p0F, 0x1.02fffep0F).bfloat_pair == 0x3f813f81U);
    CHECK(of(std::numeric_limits<float>::max(), -infinity).bfloat_pair == 0xff807f80U);
    CHECK(of(nan, -nan).bfloat_pair == 0x7fff7fffU);
    CHECK(of(1.0F, -2.0F).half_pair == 0xc0003c00U);
    CHECK(of(0x1.002p0F, 0x1.006p0F).half_pair == 0x3c023c00U);
    CHECK(of(65519.0F, 65520.0F).half_pair == 0x7c007bffU);
    CHECK(of(0x1p-24F, 0x1p-25F).half_pair == 0x00000001U);         // the least, and half of it
    CHECK(of(0x1.ff8p-15F, 0x1.ffcp-15F).half_pair == 0x040003ffU); // the largest subnormal number, and a tie above it
    CHECK(of(infinity, nan).half_pair == 0x7fff7c00U);
}

TEST_CASE("elementary functions and bits") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(of(-infinity).exp2 == 0.0F);
    CHECK(of(3.0F).exp2 == 8.0F);
    CHECK(of(-126.0F).exp2 == 0x1p-126F);
    CHECK(of(-126.5F).exp2 == 0.0F);
    CHECK(of(128.0F).exp2 == infinity);
    CHECK(of(8.0F).log2 == 3.0F);
    CHECK(of(0x1p-127F).log2 == -infinity);
    CHECK(of(4.0F).reciprocal == 0.25F);
    CHECK(of(0.0F).reciprocal == infinity);
    CHECK(of(-0x1p-127F).reciprocal == -infinity);
    CHECK(of(0x1p127F).reciprocal == 0.0F);
    CHECK(of_word(3, 31).shifted == 0x80000000U);
    CHECK(of_word(3, 32).shifted == 0);
    CHECK(of_word(3, 0xffffffffU).shifted == 0);
    CHECK(of_word(0x80000000U).lowest == 31);
    CHECK(of_word(6).lowest == 1);
    CHECK(of_word(0x80000000U, 0x7fffffffU).product == -0x3fffffff80000000);
}
