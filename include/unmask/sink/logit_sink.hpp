// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// One learned logit per head, with a value of zero (the "sinks" of GPT-OSS). The logit is neither scaled nor
/// soft-capped.
struct logit_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = false;
    static constexpr bool has_value = false;

    tensor_view<const float, 1> logits; ///< [heads]

    UNMASK_HOST_DEVICE constexpr float logit(index_t head) const { return logits.data[head]; }
};

UNMASK_NAMESPACE_END
