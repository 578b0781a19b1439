// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// In the place of cuda/, where that is not compiled.

#include <stdexcept>

#include "cuda/device_trainer.hpp"

#ifndef LANGUAGE_MODEL_WITHOUT_CUDA
#define LANGUAGE_MODEL_WITHOUT_CUDA "nvcc"
#endif

namespace language_model {

std::unique_ptr<device_trainer> make_device_trainer(const std::string& /*sink*/, const device_training& /*training*/,
                                                    precision /*use*/) {
    throw std::runtime_error("--device is 'cuda', but this program was built without CUDA: " //
                             LANGUAGE_MODEL_WITHOUT_CUDA " was missing");
}

} // namespace language_model
