// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <span>

#include <unmask/config.hpp>
#include <unmask/cpu/rows/row_reduction.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/detail/weights.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

template <class Logit>
row_statistics read_statistics(std::span<const Logit> logits) {
    row_reduction row;
    row.read<row_reading::statistics>(logits, 0, no_token, weight_rule(1));
    return raw_statistics(row);
}

} // namespace detail

/// The statistics of softmax(logits), in one pass over them. `best` is −1, and the other members are meaningless, if a
/// logit is NaN or +∞ or all are −∞.
///
/// The weights exp(logit − highest) are floats, with a relative error of 1.5e-7 + 1e-7 · (highest − logit); those below
/// e^−87 count as 0. Sums are in float over at most 1024 tokens, and in double beyond: log_sum and entropy have a
/// relative error of about 1e-6 at most, 1e-7 in a typical row. Every processor computes the same bits.
[[nodiscard]] inline row_statistics statistics_of(std::span<const float> logits) {
    return detail::read_statistics(logits);
}

/// The statistics of softmax(logits), as if the logits were converted to float.
[[nodiscard]] inline row_statistics statistics_of(std::span<const bfloat16> logits) {
    return detail::read_statistics(logits);
}

UNMASK_NAMESPACE_END
