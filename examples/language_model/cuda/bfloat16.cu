// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "models.cuh"

namespace language_model {

template std::unique_ptr<device_trainer> make_device_trainer_of<unmask::bfloat16>(const std::string&,
                                                                                  const device_training&);
template std::unique_ptr<device_predictor> make_device_predictor_of<unmask::bfloat16>(const std::string&,
                                                                                      const model_shape&,
                                                                                      const std::vector<float>&);

} // namespace language_model
