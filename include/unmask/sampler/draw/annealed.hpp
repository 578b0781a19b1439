// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <limits>
#include <span>
#include <string>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/policies.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

UNMASK_NAMESPACE_BEGIN

/// A categorical draw whose temperature falls with the steps of a block (DiffusionGemma): coldest + (hottest − coldest)
/// · n/N with n of N steps left, the current one included.
struct annealed_categorical {
    static constexpr auto kind = policy_kind::draw;
    double hottest = 0.8; ///< temperature of the first step
    double coldest = 0.4; ///< temperature that the steps approach, in [0, hottest]

    void check() const {
        const auto expects = [](const char* argument, double value, double most, const char* expected) {
            if (!(value >= 0 && value <= most)) {
                throw invalid_argument("sampler", argument, std::to_string(value), expected);
            }
        };
        expects("annealed_categorical.hottest", hottest, std::numeric_limits<double>::max(), "at least 0 and finite");
        expects("annealed_categorical.coldest", coldest, hottest, "in [0, hottest]");
    }

    /// The draw of the given step.
    [[nodiscard]] categorical at(const schedule_step& now) const {
        const double left = static_cast<double>(now.steps - now.step) / static_cast<double>(now.steps);
        return {.temperature = coldest + (hottest - coldest) * left};
    }

    /// The draw of the first step.
    drawn operator()(std::span<const float> logits, const row_statistics& raw, double uniform,
                     draw_scratch& scratch) const {
        return at({})(logits, raw, uniform, scratch);
    }
};

UNMASK_NAMESPACE_END
