// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device_trainer.hpp"

// One file compiles the models of a type of activations: float32.cu, bfloat16.cu.

namespace language_model {

class device_predictor;

/// The trainer of the model with a sink.
template <class T>
std::unique_ptr<device_trainer> make_device_trainer_of(const std::string& sink, const device_training& training);

/// The model with a sink and these weights, for texts.
template <class T>
std::unique_ptr<device_predictor> make_device_predictor_of(const std::string& sink, const model_shape& shape,
                                                           const std::vector<float>& weights);

} // namespace language_model
