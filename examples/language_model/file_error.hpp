// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

namespace language_model {

/// A file that can't be used. what() reads "model.safetensors: the dtype of 'head' is 'F64', expected F32 or BF16".
class file_error : public std::runtime_error {
public:
    file_error(const std::string& file, const std::string& what, const std::string& was, const std::string& expected)
        : std::runtime_error(file + ": " + what + " is " + was + ", expected " + expected) {}
};

} // namespace language_model
