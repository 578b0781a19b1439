// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstdint>

#include <unmask/config.hpp>
#include <unmask/tensor/float_types.hpp>

// A row that the model forgets to write is reported, and not drawn from what an earlier step left there: before the
// call, the first and the last logit that will be read get a NaN with bits of its own.

UNMASK_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::uint32_t unwritten_bits = 0x7fed0000U; // the lower half is 0: bfloat16 can hold it

template <class Logit>
UNMASK_HOST_DEVICE Logit unwritten_logit() {
    if constexpr (std::same_as<Logit, float>) {
        return bits_as<float>(unwritten_bits);
    } else {
        static_assert(std::same_as<Logit, bfloat16>);
        bfloat16 result;
        result.bits = static_cast<std::uint16_t>(unwritten_bits >> 16);
        return result;
    }
}

UNMASK_HOST_DEVICE inline bool is_unwritten(float logit) {
    return bits_as<std::uint32_t>(logit) == unwritten_bits;
}

// Marks a row of `size` logits, of which that of the mask token is not read.
template <class Logit>
UNMASK_HOST_DEVICE void mark_unwritten(Logit* row, index_t size, token_t mask) {
    row[mask == 0 ? 1 : 0] = unwritten_logit<Logit>();
    row[size - (mask == size - 1 ? 2 : 1)] = unwritten_logit<Logit>();
}

} // namespace detail
UNMASK_NAMESPACE_END
