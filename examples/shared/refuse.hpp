// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <unmask/io/shown.hpp>

namespace examples {

/// Throws the error of an option.
[[noreturn]] inline void refuse(const std::string& option, const std::string& was, const std::string& expected) {
    throw std::invalid_argument("--" + option + " is " + unmask::shown(was) + ", expected " + expected);
}

} // namespace examples
