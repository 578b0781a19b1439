// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <unmask/config.hpp>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/tensor/float_types.hpp>

// Top-k and top-p: what the CPU and the GPU have in common, so that both keep the same tokens. A filter keeps the first
// few of the tokens by falling logit, of equal ones the lower first, and so is told by the last that it keeps.
// Everything else is then as if the other logits were −∞.

UNMASK_NAMESPACE_BEGIN

/// Which filter comes first when both are given: the second sees what the first left.
enum class filter_order {
    top_k_then_top_p, ///< SDAR, LLaDA2, diffusers
    top_p_then_top_k, ///< Dream
};

namespace detail {

struct token_filter {
    index_t top_k = 0;
    double top_p = 1;
    filter_order order = filter_order::top_k_then_top_p;

    [[nodiscard]] UNMASK_HOST_DEVICE constexpr bool limits_count(std::size_t size) const {
        return top_k > 0 && static_cast<std::size_t>(top_k) < size;
    }
    [[nodiscard]] constexpr bool keeps_all(std::size_t size) const { return !limits_count(size) && top_p >= 1; }
};

inline constexpr token_t last_token = std::numeric_limits<token_t>::max();

// The last token that is kept.
struct token_floor {
    float logit = minus_infinity;
    token_t token = last_token;

    [[nodiscard]] UNMASK_HOST_DEVICE constexpr bool keeps(float other, token_t at) const {
        return other > logit || (other == logit && at <= token);
    }
};

// Weights of at most 1 as whole numbers, whose sum over a row is below 2^62: it is the same in any order.
class whole_weights {
public:
    UNMASK_HOST_DEVICE explicit whole_weights(std::size_t row_size) {
        int bits = 0;
        while (bits < 32 && row_size >> bits != 0) {
            ++bits;
        }
        unit_ = static_cast<double>(std::uint64_t{1} << (62 - bits));
    }

    // To the nearest.
    [[nodiscard]] UNMASK_HOST_DEVICE std::uint64_t of(float weight) const {
        return static_cast<std::uint64_t>(static_cast<double>(weight) * unit_ + 0.5);
    }
    // The least number that is not below a sum of weights.
    [[nodiscard]] UNMASK_HOST_DEVICE std::uint64_t from(double sum) const { return up(product_of(sum, unit_)); }
    // The least that is not below a share of another number.
    [[nodiscard]] UNMASK_HOST_DEVICE static std::uint64_t share_of(std::uint64_t all, double share) {
        return up(product_of(share, static_cast<double>(all)));
    }

private:
    UNMASK_HOST_DEVICE static std::uint64_t up(double value) {
        const auto whole = static_cast<std::uint64_t>(value);
        return whole + (static_cast<double>(whole) < value ? 1 : 0);
    }

    double unit_;
};

} // namespace detail
UNMASK_NAMESPACE_END
