// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// A learned key with a value of zero: the K-bias of Gu et al. (arXiv 2410.10781), and the zero-value ablation of
/// *One Token Is Enough* (arXiv 2601.19657, Table 5).
struct key_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = true;
    static constexpr bool has_value = false;

    tensor_view<const float, 2> keys; ///< [kv_heads, head_dim]

    UNMASK_HOST_DEVICE constexpr const float* key(index_t kv_head) const { return keys.pointer(kv_head); }
};

UNMASK_NAMESPACE_END
