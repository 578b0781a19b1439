// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN

/// The similarity of vectors: the mean cosine of the angle between two of them, over all pairs. It is 1 if all point in
/// the same direction. The closer it is to 1 in deep layers, the more attention has mixed the tokens (Barbero et al.,
/// arXiv 2504.02732, call too much of this over-mixing). NaN for fewer than two rows or for NaN in a row; a row of
/// zeros counts as orthogonal to all others.
///
/// rows is [n, width]. O(n · width), because for unit vectors x̂ the sum over pairs i ≠ j of x̂ᵢ · x̂ⱼ is |Σ x̂ᵢ|² − Σ
/// |x̂ᵢ|². Sums are in double.
[[nodiscard]] inline double mean_pairwise_cosine(const tensor_view<const float, 2>& rows) {
    const auto [count, width] = rows.extents;
    if (count < 2) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    std::vector<double> sum(static_cast<std::size_t>(width));
    double units = 0;
    for (index_t i = 0; i < count; ++i) {
        const float* row = rows.pointer(i);
        double square = 0;
        for (index_t j = 0; j < width; ++j) {
            square += static_cast<double>(row[j]) * static_cast<double>(row[j]);
        }
        if (square != 0) { // NaN propagates to the sums
            const double scale = 1 / std::sqrt(square);
            units += 1;
            for (index_t j = 0; j < width; ++j) {
                sum[static_cast<std::size_t>(j)] += scale * static_cast<double>(row[j]);
            }
        }
    }
    double all = 0;
    for (const double each : sum) {
        all += each * each;
    }
    const auto n = static_cast<double>(count);
    return (all - units) / (n * (n - 1));
}

UNMASK_NAMESPACE_END
