// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Every query sees every key: the mask of masked diffusion models (LLaDA, Dream, MDLM).
struct bidirectional {
    UNMASK_HOST_DEVICE constexpr bool visible(index_t /*q*/, index_t /*k*/) const { return true; }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t /*q_begin*/, index_t /*q_end*/, index_t /*k_begin*/,
                                                     index_t /*k_end*/) const {
        return tile_class::full;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t /*q_end*/, index_t keys) const {
        return ranges<1>({0, keys});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t /*k_begin*/, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({0, queries});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t /*q*/, index_t keys) const { return ranges<1>({0, keys}); }
};

UNMASK_NAMESPACE_END
