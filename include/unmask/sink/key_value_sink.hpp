// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// A sink with a key and a value: the extra sink token of *One Token Is Enough* (arXiv 2601.19657), folded.
///
/// The token sees only itself, so its key and value depend on the weights alone, and it needs neither a
/// row nor a column in the sequence. `extra_sink<M>` on length T + 1 and this policy with M on length T
/// give the same content rows.
struct key_value_sink {
    static constexpr bool present = true;
    static constexpr bool has_key = true;
    static constexpr bool has_value = true;

    tensor_view<const float, 2> keys;   ///< [kv_heads, head_dim], rotated for the token's position
    tensor_view<const float, 2> values; ///< [kv_heads, head_dim]

    UNMASK_HOST_DEVICE constexpr const float* key(index_t kv_head) const { return keys.pointer(kv_head); }
    UNMASK_HOST_DEVICE constexpr const float* value(index_t kv_head) const { return values.pointer(kv_head); }
};

UNMASK_NAMESPACE_END
