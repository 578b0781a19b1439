// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/mask/mask_policy.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// Throws invalid_argument if a parameter of the mask, or of a mask inside it, is out of bounds. Host only.
template <mask_policy Mask>
void check_mask(std::string_view function, const Mask& mask) {
    if (const mask_fault fault = fault_of(mask)) {
        throw invalid_argument(function, std::string("mask ") + fault.parameter, std::to_string(fault.was),
                               fault.expected);
    }
}

} // namespace detail

UNMASK_NAMESPACE_END
