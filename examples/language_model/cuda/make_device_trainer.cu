// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "device_trainer.hpp"

#include <stdexcept>

#include <unmask/tensor/float_types.hpp>

#include "gpu.cuh"
#include "variants.hpp"

namespace language_model {

std::unique_ptr<device_trainer> make_device_trainer(const std::string& sink, const device_training& training,
                                                    precision use) {
    expect_gpu();
    return use == precision::float32 ? make_device_trainer_of<float>(sink, training)
                                     : make_device_trainer_of<unmask::bfloat16>(sink, training);
}

} // namespace language_model
