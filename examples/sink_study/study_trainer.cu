// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// All variants on the GPU, compiled once.

#include "study_trainer.hpp"

#include <type_traits>

#include "cuda/gpu.cuh"
#include "cuda/trainer.cuh"

namespace sink_study {

std::unique_ptr<device_trainer> make_study_trainer(const std::string& variant, const variant_settings& settings,
                                                   const device_training& training) {
    expect_gpu();
    return with_variant(variant, settings, [&](const auto& model, const auto&) -> std::unique_ptr<device_trainer> {
        return std::make_unique<device_trainer_of<std::remove_cvref_t<decltype(model)>, float>>(model, training);
    });
}

} // namespace sink_study
