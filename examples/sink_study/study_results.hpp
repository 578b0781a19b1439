// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "estimate.hpp"
#include "job.hpp"
#include "run_job.hpp"

namespace sink_study {

/// All results that there are.
class study_results {
public:
    explicit study_results(const study_folders& folders) {
        for (const job& each : all_jobs()) {
            if (const std::string path = folders.result(each); std::filesystem::exists(path)) {
                results_.push_back(read_result(path));
            }
        }
    }

    [[nodiscard]] std::size_t size() const { return results_.size(); }

    /// The number that a JSON pointer leads to, over the seeds of a variant; seeds where it is not there or null are
    /// left out. Of a list it is the last one.
    [[nodiscard]] estimate of(const std::string& task, const std::string& variant, const std::string& number,
                              const std::string& training = "usual") const {
        estimate result;
        for (const auto& [seed, value] : by_seed(task, variant, number, training)) {
            result.values.push_back(value);
        }
        return result;
    }

    /// `variant` less `other`, over the seeds that both have.
    [[nodiscard]] estimate difference(const std::string& task, const std::string& variant, const std::string& other,
                                      const std::string& number, const std::string& training = "usual",
                                      const std::string& other_training = "usual") const {
        estimate result;
        for (const auto& [seed, value] : by_seed(task, variant, number, training)) {
            for (const auto& [other_seed, other_value] : by_seed(task, other, number, other_training)) {
                if (seed == other_seed) {
                    result.values.push_back(value - other_value);
                }
            }
        }
        return result;
    }

private:
    struct seeded {
        int seed;
        double value;
    };

    [[nodiscard]] std::vector<seeded> by_seed(const std::string& task, const std::string& variant,
                                              const std::string& number, const std::string& training) const {
        std::vector<seeded> found;
        const nlohmann::ordered_json::json_pointer pointer(number);
        for (const nlohmann::ordered_json& each : results_) {
            if (each.at("task") != task || each.at("variant") != variant || each.at("training") != training ||
                !each.contains(pointer)) {
                continue;
            }
            const nlohmann::ordered_json& there = each.at(pointer);
            const nlohmann::ordered_json& value = there.is_array() && !there.empty() ? there.back() : there;
            if (value.is_number()) {
                found.push_back({each.at("seed"), value});
            }
        }
        return found;
    }

    std::vector<nlohmann::ordered_json> results_;
};

} // namespace sink_study
