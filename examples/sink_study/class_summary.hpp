// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <tuple>

#include <nlohmann/json.hpp>

#include <unmask/analysis/key_class.hpp>
#include <unmask/analysis/sink_record.hpp>

#include "mean.hpp"

namespace sink_study {

using unmask::index_t;

/// What a class of keys gets while sequences are filled in, over steps, layers and heads.
struct class_summary {
    static constexpr index_t quarters = 4; ///< of the trajectory

    std::array<mean, quarters> mass;
    std::array<mean, quarters> uniform; ///< what it would be if attention were even
    mean whole;
    mean late; ///< in the second half
    mean late_uniform;
    mean value_norm; ///< over that of content
};

/// Layers [first, last] of trajectories of so many steps. shares(record, layer, head) is an array of class_share, one a
/// class; `content` is the index of that class.
template <class Shares>
auto class_summaries(std::span<const unmask::sink_record> records, index_t steps, index_t first, index_t last,
                     std::size_t content, const Shares& shares) {
    constexpr std::size_t classes = std::tuple_size_v<decltype(shares(records.front(), first, 0))>;
    std::array<class_summary, classes> result;
    for (const unmask::sink_record& record : records) {
        const auto quarter = static_cast<std::size_t>(record.call * class_summary::quarters / steps);
        const double is_late = quarter < class_summary::quarters / 2 ? 0.0 : 1.0;
        for (index_t layer = first; layer <= last; ++layer) {
            for (index_t head = 0; head < record.heads; ++head) {
                const auto of_head = shares(record, layer, head);
                for (std::size_t i = 0; i < classes; ++i) {
                    class_summary& to = result[i];
                    to.mass[quarter].add(of_head[i].mass);
                    to.uniform[quarter].add(of_head[i].uniform);
                    to.whole.add(of_head[i].mass);
                    to.late.add(of_head[i].mass, is_late);
                    to.late_uniform.add(of_head[i].uniform, is_late);
                    to.value_norm.add(of_head[i].value_norm / of_head[content].value_norm);
                }
            }
        }
    }
    return result;
}

/// All of it, by the names of the classes.
template <std::size_t Classes>
nlohmann::ordered_json to_json(const std::array<class_summary, Classes>& all,
                               const std::array<const char*, Classes>& names) {
    const auto list = [](const std::array<mean, class_summary::quarters>& quarters) {
        nlohmann::ordered_json numbers = nlohmann::ordered_json::array();
        for (const mean& each : quarters) {
            numbers.push_back(each.json());
        }
        return numbers;
    };
    nlohmann::ordered_json result;
    for (std::size_t i = 0; i < Classes; ++i) {
        result[names[i]] = {{"mass", all[i].whole.json()},
                            {"by_quarter", list(all[i].mass)},
                            {"uniform", list(all[i].uniform)},
                            {"late_over_uniform", rounded(all[i].late.value() / all[i].late_uniform.value())},
                            {"value_norm", all[i].value_norm.json()}};
    }
    return result;
}

/// Masses and norms alone.
template <std::size_t Classes>
nlohmann::ordered_json to_short_json(const std::array<class_summary, Classes>& all,
                                     const std::array<const char*, Classes>& names) {
    nlohmann::ordered_json result;
    for (std::size_t i = 0; i < Classes; ++i) {
        result[names[i]] = {{"mass", all[i].whole.json()}, {"value_norm", all[i].value_norm.json()}};
    }
    return result;
}

} // namespace sink_study
