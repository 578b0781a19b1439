// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_functions.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device.cuh>

namespace device = unmask::detail::device;
using unmask::bfloat16;
using unmask::float16;

TEST_CASE("load_matrices: who gets what") {
    std::vector<std::uint16_t> numbers(4 * 8 * 8);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i] = static_cast<std::uint16_t>(i);
    }
    const emulator::buffer<std::uint16_t> matrices(numbers);
    const emulator::buffer<std::uint32_t> plain(32 * 4);
    const emulator::buffer<std::uint32_t> transposed(32 * 4);
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

TEST_CASE("copies arrive late, early or at random") {
    const auto got = [](emulator::copies mode, unsigned seed) {
        emulator::settings wanted;
        wanted.copies = mode;
        wanted.seed = seed;
        const emulator::scoped_settings scope(wanted);
        const emulator::buffer<float> source(std::vector<float>(4, 1.0F));
        const emulator::buffer<float> result(1);
        unmask::detail::launch(test::change_under_a_copy, 1, 1, 16, nullptr,
                               test::change_case{source.data(), result.data()});
        return result.to_host()[0];
    };
    int late = 0;
    for (unsigned seed = 0; seed < 40; ++seed) {
        CHECK(got(emulator::copies::late, seed) == 2.0F);
        CHECK(got(emulator::copies::early, seed) == 1.0F);
        late += got(emulator::copies::random, seed) == 2.0F ? 1 : 0;
    }
    CHECK(late > 5);
    CHECK(late < 35);
}

TEST_CASE("shuffle_xor and ballot") {
    std::vector<float> numbers(32);
    for (std::size_t i = 0; i < 32; ++i) {
        numbers[i] = static_cast<float>(i);
    }
    const emulator::buffer<float> values(numbers);
    const emulator::buffer<float> shuffled(32 * 32);
    const emulator::buffer<std::uint32_t> ballots(32);
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
    const emulator::buffer<std::uint16_t> a(std::vector<std::uint16_t>(bits.begin(), bits.begin() + 32 * 16));
    const emulator::buffer<std::uint16_t> b(std::vector<std::uint16_t>(bits.begin() + 32 * 16, bits.end()));
    const emulator::buffer<float> c(32 * 16);
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
            error = std::max(error, std::fabs(expected - got[16 * row + column]));
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

TEST_CASE("pack rounds to nearest, ties to even, and knows one NaN") {
    const float infinity = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(device::pack<bfloat16>(1.0F, -2.0F) == 0xc0003f80U);
    CHECK(device::pack<bfloat16>(0x1.01p0F, 0x1.03p0F) == 0x3f823f80U); // ties, down and up
    CHECK(device::pack<bfloat16>(0x1.010002p0F, 0x1.02fffep0F) == 0x3f813f81U);
    CHECK(device::pack<bfloat16>(std::numeric_limits<float>::max(), -infinity) == 0xff807f80U);
    CHECK(device::pack<bfloat16>(nan, -nan) == 0x7fff7fffU);
    CHECK(device::pack<float16>(1.0F, -2.0F) == 0xc0003c00U);
    CHECK(device::pack<float16>(0x1.002p0F, 0x1.006p0F) == 0x3c023c00U);
    CHECK(device::pack<float16>(65519.0F, 65520.0F) == 0x7c007bffU);
    CHECK(device::pack<float16>(0x1p-24F, 0x1p-25F) == 0x00000001U); // the least, and half of it
    CHECK(device::pack<float16>(infinity, nan) == 0x7fff7c00U);
}

TEST_CASE("elementary functions and bits") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(device::exp2(-infinity) == 0.0F);
    CHECK(device::exp2(3.0F) == 8.0F);
    CHECK(device::exp2(-126.0F) == 0x1p-126F);
    CHECK(device::exp2(-126.5F) == 0.0F);
    CHECK(device::exp2(128.0F) == infinity);
    CHECK(device::log2(8.0F) == 3.0F);
    CHECK(device::log2(0x1p-127F) == -infinity);
    CHECK(device::reciprocal(4.0F) == 0.25F);
    CHECK(device::reciprocal(0.0F) == infinity);
    CHECK(device::reciprocal(-0x1p-127F) == -infinity);
    CHECK(device::reciprocal(0x1p127F) == 0.0F);
    CHECK(device::shift_left(3, 31) == 0x80000000U);
    CHECK(device::shift_left(3, 32) == 0);
    CHECK(device::shift_left(3, 0xffffffffU) == 0);
    CHECK(device::lowest_bit(0x80000000U) == 31);
    CHECK(device::lowest_bit(6) == 1);
}
