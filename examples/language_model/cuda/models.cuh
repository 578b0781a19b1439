// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <type_traits>

#include "../variant.hpp"
#include "predictor.cuh"
#include "trainer.cuh"
#include "variants.hpp"

// What variants.hpp declares.

namespace language_model {

template <class T>
std::unique_ptr<device_trainer> make_device_trainer_of(const std::string& sink, const device_training& training) {
    return with_variant(sink, training.shape, [&](const auto& model) -> std::unique_ptr<device_trainer> {
        return std::make_unique<device_trainer_of<std::remove_cvref_t<decltype(model)>, T>>(model, training);
    });
}

template <class T>
std::unique_ptr<device_predictor> make_device_predictor_of(const std::string& sink, const model_shape& shape,
                                                           const std::vector<float>& weights) {
    return with_variant(sink, shape, [&](const auto& model) -> std::unique_ptr<device_predictor> {
        return std::make_unique<device_predictor_of<std::remove_cvref_t<decltype(model)>, T>>(model, weights);
    });
}

} // namespace language_model
