// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>

#include <nlohmann/json.hpp>

namespace sink_study {

/// A number of a result, to five significant digits: results are read by people, and kept in git. Null if it is not
/// finite.
inline nlohmann::ordered_json rounded(double value) {
    if (!std::isfinite(value)) {
        return nullptr;
    }
    const double scale = value == 0.0 ? 1.0 : std::pow(10.0, 4.0 - std::floor(std::log10(std::abs(value))));
    return std::round(value * scale) / scale;
}

/// The weighted mean of the numbers that are finite; NaN, and null in JSON, if there are none.
class mean {
public:
    void add(double value, double weight = 1.0) {
        if (weight > 0.0 && std::isfinite(value)) {
            sum_ += weight * value;
            weight_ += weight;
        }
    }
    [[nodiscard]] double value() const { return weight_ > 0.0 ? sum_ / weight_ : NAN; }
    [[nodiscard]] nlohmann::ordered_json json() const { return rounded(value()); }

private:
    double sum_ = 0.0;
    double weight_ = 0.0;
};

} // namespace sink_study
