// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel.hpp"

namespace ptx {

// By its name, %tid.x. Throws std::runtime_error.
special_register special_register_of(std::string_view name);

// Its value for a lane.
std::uint32_t value_of(special_register which, const warp& w, int lane);

} // namespace ptx
