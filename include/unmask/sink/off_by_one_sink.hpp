// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A sink with logit 0 and a value of zero, which adds exp(0) = 1 to the denominator: "softmax off by one" (Miller),
/// the zero sink of StreamingLLM (arXiv 2309.17453). It lets a query attend to nothing.
struct off_by_one_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;

    UNMASK_HOST_DEVICE static constexpr float logit(index_t /*head*/) { return 0.0F; }
};

UNMASK_NAMESPACE_END
