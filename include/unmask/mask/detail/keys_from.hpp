// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/ranges.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The part of a range that begins at `first` or later, counted from there.
UNMASK_HOST_DEVICE constexpr range counted_from(index_t first, range positions) {
    return {larger(positions.begin - first, 0), positions.end - first};
}

// A mask as kernels ask it: they count keys from the call's first one, which is at position `first`. (Queries are
// counted from their offset by the kernels.) Host masks are asked on the host alone.
template <mask_policy Mask>
struct keys_from {
    Mask mask;
    index_t first;

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE constexpr bool visible(index_t q, index_t k) const { return mask.visible(q, first + k); }
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE constexpr tile_class classify(index_t q_begin, index_t q_end, index_t k_begin,
                                                     index_t k_end) const {
        return mask.classify(q_begin, q_end, first + k_begin, first + k_end);
    }
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        return counted(mask.key_ranges(q_begin, q_end, first + keys));
    }
    UNMASK_HOST_DEVICE constexpr auto query_ranges(index_t k_begin, index_t k_end, index_t queries) const {
        return query_ranges_of(mask, first + k_begin, first + k_end, queries);
    }
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
    UNMASK_HOST_DEVICE constexpr auto row(index_t q, index_t keys) const
        requires row_mask_policy<Mask>
    {
        return counted(mask.row(q, first + keys));
    }

private:
    template <int Capacity>
    UNMASK_HOST_DEVICE constexpr ranges<Capacity> counted(const ranges<Capacity>& positions) const {
        ranges<Capacity> result;
        unrolled<Capacity>([&](int i) { result.append(counted_from(first, positions.at(i))); });
        return result;
    }
};

// The mask for a call whose first key is at position `first`.
template <mask_policy Mask>
constexpr keys_from<Mask> mask_from_key(const Mask& mask, index_t first) {
    return {mask, first};
}
constexpr bidirectional mask_from_key(const bidirectional& mask, index_t /*first*/) {
    return mask; // the same anywhere
}

} // namespace detail
UNMASK_NAMESPACE_END
