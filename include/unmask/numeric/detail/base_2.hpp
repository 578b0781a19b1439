// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Kernels take powers of 2: their scores are times log2(e), and what leaves them is times ln(2).
inline constexpr float log2_e = 1.44269504088896340736F;
inline constexpr float ln_2 = 0.693147180559945309417F;
inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
inline constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
inline constexpr float largest_float = std::numeric_limits<float>::max();

} // namespace detail
UNMASK_NAMESPACE_END
