// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/executor/cpu_executor.hpp>

#include "model/decoder.hpp"
#include "model/models.hpp"
#include "sampling_choice.hpp"
#include "text_sampler.hpp"

namespace dlm {

/// The presets for a model of this kind.
std::string preset_names(const model_config& config);

/// The preset that was published with a model.
std::string preset_of(const model_config& config);

/// The sampler that a choice describes, on a model that keeps what it needs. The tracker, if there is one, sees the
/// model's attention. Throws std::invalid_argument, in the words of the command line, if there is no such combination.
language_model::text_sampler make_sampler(const language_model::sampling_choice& choice, const decoder& weights,
                                          const unmask::cpu_executor& exec, unmask::sink_tracker* tracker);

/// The same with logits that are computed elsewhere: of models that look both ways, without a cache.
language_model::text_sampler make_sampler(const language_model::sampling_choice& choice, const decoder& weights,
                                          const unmask::cpu_executor& exec, const logits_of_text& elsewhere);

} // namespace dlm
