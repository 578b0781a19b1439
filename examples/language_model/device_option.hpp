// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include <unmask/io/shown.hpp>

#include "command_line.hpp"
#include "cuda/device_trainer.hpp"

namespace language_model {

using namespace examples;

using unmask::shown;

/// Throws the error of an option unless a condition holds.
inline void expect_option(bool condition, const char* option, const std::string& was, const char* expected) {
    if (!condition) {
        throw std::invalid_argument(std::string("--") + option + " is " + shown(was) + ", expected " + expected);
    }
}

/// Whether --device names the GPU.
inline bool is_on_gpu(command_line& options) {
    const std::string device = options.text("device", "cpu");
    expect_option(device == "cpu" || device == "cuda", "device", device, "cpu or cuda");
    return device == "cuda";
}

/// What the layers compute with on the GPU, by --device and --precision; nothing if the device is the CPU, which
/// computes with float. Throws std::invalid_argument.
inline std::optional<precision> gpu_precision_of(command_line& options) {
    const bool on_gpu = is_on_gpu(options);
    const std::string name = options.text("precision", on_gpu ? "bfloat16" : "float");
    expect_option(name == "float" || name == "bfloat16", "precision", name, "float or bfloat16");
    expect_option(on_gpu || name == "float", "precision", name, "float on the CPU");
    if (!on_gpu) {
        return {};
    }
    return name == "float" ? precision::float32 : precision::bfloat16;
}

} // namespace language_model
