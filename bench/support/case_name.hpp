// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <string>

#include <unmask/sink/sink_policy.hpp>
#include <unmask/tensor/float_types.hpp>

#include "shape.hpp"
#include "sinks.hpp"

namespace bench {

enum class direction { forward, backward, received };

constexpr const char* to_string(direction direction) {
    return direction == direction::forward ? "forward" : direction == direction::backward ? "backward" : "received";
}

template <class T>
constexpr const char* type_name() {
    return std::same_as<T, float> ? "fp32" : std::same_as<T, unmask::bfloat16> ? "bf16" : "fp16";
}

/// `forward/fp32/causal/no_sink/length:4096/head_dim:64/threads:2`.
template <class T, unmask::sink_policy Sink>
std::string case_name(direction direction, const char* mask, const shape& shape) {
    return std::string(to_string(direction)) + "/" + type_name<T>() + "/" + mask + "/" + sink_name<Sink>() + "/" +
           to_string(shape);
}

/// Operations that count, a visible score: its products with head_dim numbers, and nothing of what an implementation
/// computes again or of the softmax.
constexpr double useful_flops(direction direction, index_t head_dim) {
    const double forward = 4.0 * static_cast<double>(head_dim);
    return direction == direction::forward ? forward : direction == direction::backward ? 2.5 * forward : 0.5 * forward;
}

} // namespace bench
