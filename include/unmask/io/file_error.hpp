// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A file that can't be used. what() reads "model.safetensors: dtype of tensor 'head' is 'F4', expected F64, F32, …".
class file_error : public std::runtime_error {
public:
    /// An error of `file`, in which `what` is `was` and should have been `expected`.
    file_error(const std::string& file, const std::string& what, const std::string& was, const std::string& expected)
        : std::runtime_error(file + ": " + what + " is " + was + ", expected " + expected) {}
};

UNMASK_NAMESPACE_END
