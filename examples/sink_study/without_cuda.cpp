// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// In the place of study_trainer.cu, where that is not compiled.

#include "study_trainer.hpp"

namespace sink_study {

std::unique_ptr<device_trainer> make_study_trainer(const std::string& /*variant*/, const variant_settings& /*settings*/,
                                                   const device_training& training) {
    return make_device_trainer("none", training, precision::float32); // which says what is missing
}

} // namespace sink_study
