// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Orders numbers from high to low, as std::greater<> does without its <functional>, which is slow to parse.
struct falling {
    template <class Number>
    constexpr bool operator()(Number a, Number b) const {
        return a > b;
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
