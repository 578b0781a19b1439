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
};

/// A model's attention while it samples, step by step.
struct attention_trace {
    std::vector<unmask::sink_record> all;    ///< of the queries of all positions
    std::vector<unmask::sink_record> masked; ///< of those of masked positions alone, with what they give to
                                             ///< themselves; empty if what a query sees depends on its position
};

/// Samples with a model that takes part in a study and writes down its attention. A model in blocks fills block by
/// block, and its queries are those that an exact cache leaves to compute: of the block.
attention_trace trace_of(traced_model& model, const job& which, const study_size& size, const study_data& data,
                         const measure_settings& settings = {});

/// What it says: mass on the extra sink, strength, movement by several definitions, value norms, mixing, and the shares
/// of classes of keys, of which these tokens are delimiters.
nlohmann::ordered_json sinks_of(const attention_trace& trace, const std::vector<token_t>& delimiters);

} // namespace sink_study
