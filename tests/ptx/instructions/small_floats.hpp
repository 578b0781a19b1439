// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

namespace ptx {

float half_to_float(std::uint16_t half);
float bfloat_to_float(std::uint16_t bfloat);
// To nearest, ties to even; NaN is 0x7fff.
std::uint16_t float_to_half(float x);
std::uint16_t float_to_bfloat(float x);

} // namespace ptx
