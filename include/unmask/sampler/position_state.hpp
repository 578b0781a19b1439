// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// The state of a position of a canvas.
enum class position_state : std::uint8_t {
    prompt,    ///< given, and never written
    masked,    ///< to be filled: holds the mask token, or noise in a model of uniform diffusion
    committed, ///< filled
};

UNMASK_NAMESPACE_END
