// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// No sink: plain softmax, whose denominator is the sum over the keys.
struct no_sink {
    static constexpr bool present = false;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;
};

UNMASK_NAMESPACE_END
