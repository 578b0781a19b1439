// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace sink_study {

/// A number over seeds, or the difference of two over the seeds that both have.
struct estimate {
    std::vector<double> values;

    [[nodiscard]] double mean() const {
        double sum = 0.0;
        for (const double each : values) {
            sum += each;
        }
        return sum / static_cast<double>(values.size());
    }
    /// The sample standard deviation; 0 for one value.
    [[nodiscard]] double deviation() const {
        double sum = 0.0;
        for (const double each : values) {
            sum += (each - mean()) * (each - mean());
        }
        return values.size() < 2 ? 0.0 : std::sqrt(sum / static_cast<double>(values.size() - 1));
    }
    /// Half the width of the 95 % interval of the mean (Student's t); infinite for one value.
    [[nodiscard]] double half_width() const {
        constexpr double t[] = {INFINITY, INFINITY, 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262};
        const std::size_t n = values.size();
        return (n < std::size(t) ? t[n] : 2.0) * (n < 2 ? 1.0 : deviation() / std::sqrt(static_cast<double>(n)));
    }
    /// The mean and the deviation, "2.31 ± 0.02"; "–" if there is nothing, and no ± for one value.
    [[nodiscard]] std::string text(int digits = 3) const { return text(deviation(), digits); }
    /// The same with the half-width of the interval.
    [[nodiscard]] std::string interval(int digits = 3) const { return text(half_width(), digits); }

private:
    [[nodiscard]] std::string text(double spread, int digits) const {
        if (values.empty()) {
            return "–";
        }
        char buffer[64];
        if (values.size() == 1) {
            std::snprintf(buffer, sizeof buffer, "%.*f", digits, mean());
        } else {
            std::snprintf(buffer, sizeof buffer, "%.*f ± %.*f", digits, mean(), digits, spread);
        }
        return buffer;
    }
};

} // namespace sink_study
