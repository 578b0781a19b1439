// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/analysis/sink_record.hpp>

#include "study_data.hpp"
#include "traced_model.hpp"

namespace sink_study {

/// What is sampled to see where a model's attention goes: held-out texts whose beginning is given. The rest is filled
/// by LLaDA's low-confidence sampler (arXiv 2502.09992), greedily, which is also what the paper observes.
struct measure_settings {
    index_t sequences = 8;
    double prompt = 0.25; ///< of the length: given
    index_t positions_a_step = 2;
};

/// Samples with a model that takes part in a study and writes down its attention, step by step. A model in blocks fills
/// block by block, and its queries are those that an exact cache leaves to compute: of the block.
std::vector<unmask::sink_record> trace_of(traced_model& model, const job& which, const study_size& size,
                                          const study_data& data, const measure_settings& settings = {});

/// What the records say: mass on the extra sink, strength, movement by several definitions, value norms, mixing.
nlohmann::ordered_json sinks_of(const std::vector<unmask::sink_record>& records);

} // namespace sink_study
