// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "../estimate.hpp"
#include "run.hpp"

namespace sink_study::backcopy {

/// The results of a folder: for each cell a file NAME.json, a list with what run_job says of each seed, one a line.
class results_folder {
public:
    explicit results_folder(std::string path) : path_(std::move(path)) {}

    /// Empty if there are none yet. Throws std::runtime_error if a file is damaged.
    [[nodiscard]] std::vector<nlohmann::ordered_json> of(const cell& which) const;
    [[nodiscard]] bool has(const job& which) const;

    /// Takes a result in, in one go.
    void add(const job& which, const nlohmann::ordered_json& result) const;

    /// The number that a JSON pointer leads to, over a cell's seeds; those where it is null or not there are left out.
    [[nodiscard]] estimate number(const cell& which, const std::string& pointer) const;

    /// That of a cell less that of another, over the seeds that both have.
    [[nodiscard]] estimate difference(const cell& which, const cell& other, const std::string& pointer) const;

private:
    std::string path_;
};

/// Runs the jobs that have no result yet, some at a time, each on one thread, in their order; their weights go to
/// another folder, unless it has no name. Stops before the next job when told to; a job that was killed is begun again
/// by the next call. Returns how many it finished.
index_t run_jobs(const std::vector<job>& jobs, const size& scale, const results_folder& results,
                 const std::string& weights, int threads, const std::function<bool()>& stop);

} // namespace sink_study::backcopy
