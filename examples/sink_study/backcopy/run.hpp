// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "batch.hpp"
#include "cell.hpp"

namespace sink_study::backcopy {

/// How large the models are, and how long they learn.
struct size {
    std::string name;
    index_t width;
    index_t ffn;
    index_t tokens;             ///< of a batch: longer sequences are fewer
    index_t steps;              ///< of training
    index_t causal_steps;       ///< of the causal control's
    index_t held_out;           ///< sequences to evaluate on
    index_t traced;             ///< sequences to measure sinks on
    index_t trajectory;         ///< steps in which they are filled
    index_t length_divisor = 1; ///< sequences are so many times shorter than their cell says
};

/// `registered` is what the study reports, `tiny` is for tests. Throws std::invalid_argument for other names.
size size_of(const std::string& name);

/// The batch of a job's step, [sequences, length]: a pure function. That of the causal control is the next symbol's,
/// behind a beginning token, which is the mask's.
language_model::training_batch batch_of(const job& which, const size& scale, index_t step);

/// Trains, evaluates and measures a job on one thread; its weights go to a file, unless that has no name. Throws
/// std::runtime_error if the loss is not finite.
nlohmann::ordered_json run_job(const job& which, const size& scale, const std::string& weights_file = "");

/// The jobs that have no result in a folder yet, some at a time, each on one thread, in their order; a job that is
/// stopped is begun again by the next call. Stops before the next job when told to. Returns how many it finished.
index_t run_jobs(const std::vector<job>& jobs, const size& scale, const std::string& results, const std::string& work,
                 int threads, const std::function<bool()>& stop);

} // namespace sink_study::backcopy
