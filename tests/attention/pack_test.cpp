// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdint>
#include <cstring>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/cpu/attention/pack.hpp>

using namespace unmask;

// Every number of 16 bits, widened by registers and one by one.
TEST_CASE_TEMPLATE("packed rows hold what the storage type converts to, to the bit", T, bfloat16, float16) {
    std::vector<T> numbers(0x10000);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        numbers[i].bits = static_cast<std::uint16_t>(i);
    }
    std::vector<float> packed(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); i += detail::lanes) {
        detail::store(packed.data() + i, detail::load_floats(numbers.data() + i));
    }
    int different = 0;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const auto expected = static_cast<float>(numbers[i]);
        different += std::memcmp(&expected, &packed[i], sizeof expected) == 0 ? 0 : 1;
    }
    CHECK(different == 0);
}

TEST_CASE("packed rows: a factor, a tail that no register fits, padding") {
    std::vector<float> row(37);
    for (std::size_t i = 0; i < row.size(); ++i) {
        row[i] = static_cast<float>(i);
    }
    std::vector<float> packed(48, -1.0F);
    detail::pack_row(row.data(), 37, 2.0F, packed.data(), 48);
    for (std::size_t i = 0; i < packed.size(); ++i) {
        CHECK(packed[i] == (i < 37 ? 2.0F * static_cast<float>(i) : 0.0F));
    }
}
