// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// In the place of cuda/, where that is not compiled.

#include <stdexcept>

#include "cuda/device_trainer.hpp"
#include "cuda/generate_on_gpu.hpp"

#ifndef LANGUAGE_MODEL_WITHOUT_CUDA
#define LANGUAGE_MODEL_WITHOUT_CUDA "nvcc"
#endif

namespace language_model {

namespace {

[[noreturn]] void refuse_gpu() {
    throw std::runtime_error("--device is 'cuda', but this program was built without CUDA, for want of " //
                             LANGUAGE_MODEL_WITHOUT_CUDA);
}

} // namespace

std::unique_ptr<device_trainer> make_device_trainer(const std::string& /*sink*/, const device_training& /*training*/,
                                                    precision /*use*/) {
    refuse_gpu();
}

gpu_texts generate_on_gpu(const trained_model& /*trained*/, const sampling_choice& /*choice*/,
                          const std::vector<token_t>& /*text*/, index_t /*samples*/, std::uint64_t /*seed*/,
                          precision /*use*/) {
    refuse_gpu();
}

} // namespace language_model
