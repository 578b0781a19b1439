// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <string>

#include "cuda/device_trainer.hpp"
#include "variants.hpp"

namespace sink_study {

/// A trainer on the GPU of a variant of the study, in float: see language_model::make_device_trainer.
std::unique_ptr<device_trainer> make_study_trainer(const std::string& variant, const variant_settings& settings,
                                                   const device_training& training);

} // namespace sink_study
