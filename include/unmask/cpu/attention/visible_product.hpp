// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/attention/tile_product.hpp>
#include <unmask/cpu/simd.hpp>

// Products whose left factor is 0 wherever the mask hides a key from a row. What the right one holds there must not
// matter, but 0 · NaN and 0 · ∞ are NaN.

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Whether all numbers of some packed elements are finite. `count` is a multiple of `lanes`.
template <class Products>
inline bool all_finite(const typename Products::element* elements, index_t count) {
    vint special{};
    for (index_t i = 0; i < count; i += lanes) {
        vint bits;
        std::memcpy(&bits, elements + i, sizeof bits);
        for (const std::uint32_t exponent : Products::exponents) {
            const auto mask = static_cast<std::int32_t>(exponent);
            special |= (bits & mask) == mask;
        }
    }
    std::int32_t each[lanes];
    std::memcpy(each, &special, sizeof each);
    return std::all_of(each, each + lanes, [](std::int32_t lane) { return lane == 0; });
}

// C += A · B without the terms that `visible(row, number)` denies, where `number` counts the rows of B as they were
// before they were packed. To the bits of `multiply`, which does it where all of B is finite: a term that is left out
// would have added 0. Otherwise each row of C is multiplied with a copy of B of its own.
template <class Products, bool Transposed, class Visible>
inline void multiply_visible(index_t rows, index_t columns, index_t depth,
                             left_factor<typename Products::element, Transposed> a, const typename Products::element* b,
                             sums_tile c, const Visible& visible) {
    if (all_finite<Products>(b, depth * columns)) {
        multiply<Products, product::accumulates>(rows, columns, depth, a, b, columns, c);
        return;
    }
    std::vector<typename Products::element> seen(static_cast<std::size_t>(depth * columns));
    for (index_t row = 0; row < rows; ++row) {
        std::copy_n(b, depth * columns, seen.begin());
        for (index_t number = 0; number < depth * Products::depth; ++number) {
            if (!visible(row, number)) {
                Products::clear(seen.data() + number / Products::depth * columns, columns, number % Products::depth);
            }
        }
        multiply<Products, product::accumulates>(1, columns, depth, a, seen.data(), columns, c);
        a.data = a.row(1);
        c.data += c.stride;
        c.rescale = c.rescale != nullptr ? c.rescale + 1 : nullptr;
    }
}

} // namespace detail
UNMASK_NAMESPACE_END
