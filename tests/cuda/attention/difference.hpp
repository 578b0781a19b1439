// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "../../attention/comparison.hpp"

namespace test {

// The largest difference of two tensors, in units of the last place of the largest value.
template <class T>
double difference(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size()) {
        return std::numeric_limits<double>::infinity();
    }
    double apart = 0.0;
    double largest = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const float difference = std::fabs(static_cast<float>(a[i]) - static_cast<float>(b[i]));
        apart = std::fmax(apart, std::isnan(difference) ? INFINITY : difference);
        largest = std::fmax(largest, std::fabs(static_cast<float>(a[i])));
    }
    return apart / (unit_of<T> * largest);
}

} // namespace test
