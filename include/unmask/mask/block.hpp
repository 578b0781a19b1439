// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN

/// Block-causal mask: a query sees all of its own block of `size` positions and all earlier blocks:
/// k / size ≤ q / size. The inference mask of block diffusion (BD3-LM, arXiv 2503.09573; SDAR; LLaDA2).
/// block{1} is causal; block{length} is bidirectional.
struct block {
    index_t size; ///< positions in a block, at least 1

    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return k < block_end(q); }
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        return k_begin >= block_end(q_end - 1) ? tile_class::empty
               : k_end <= block_end(q_begin)   ? tile_class::full
                                               : tile_class::partial;
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> key_ranges(index_t /*q_begin*/, index_t q_end, index_t keys) const {
        return ranges<1>({0, detail::smaller(block_end(q_end - 1), keys)});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> query_ranges(index_t k_begin, index_t /*k_end*/, index_t queries) const {
        return ranges<1>({k_begin / size * size, queries});
    }
    UNMASK_HOST_DEVICE constexpr ranges<1> row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }

    constexpr mask_fault fault() const {
        return size < 1 ? mask_fault{"block.size", size, "at least 1"} : mask_fault{};
    }

    /// The end of the block that contains `position`: the first position after it.
    UNMASK_HOST_DEVICE constexpr index_t block_end(index_t position) const { return (position / size + 1) * size; }
};

UNMASK_NAMESPACE_END
