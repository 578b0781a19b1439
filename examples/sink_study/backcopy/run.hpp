// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "batch.hpp"
#include "cell.hpp"
#include "size.hpp"

namespace sink_study::backcopy {

/// The batch of a job's step, [sequences, length]: a pure function. That of the causal control is the next symbol's,
/// behind a beginning token, which is the mask's.
language_model::training_batch batch_of(const job& which, const size& scale, index_t step);

/// Trains, evaluates and measures a job on one thread; its weights go to a file, unless that has no name. Throws
/// std::runtime_error if the loss is not finite.
nlohmann::ordered_json run_job(const job& which, const size& scale, const std::string& weights_file = "");

} // namespace sink_study::backcopy
