// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

#include "denoiser.hpp"
#include "program.hpp"

namespace pretrained {

/// Weights that are not here and can't be brought here. what() is the reason.
class weights_unavailable : public examples::skipped {
public:
    using examples::skipped::skipped;
};

/// A model by its name, from a folder, into which fetch.py brings it first if it is not there; what that says goes to
/// standard error. Throws weights_unavailable if it can't, std::invalid_argument for a name that is none, and
/// unmask::file_error if the file holds another model.
loaded_model load_model(const std::string& name, const std::string& folder = DEFAULT_WEIGHTS);

} // namespace pretrained
