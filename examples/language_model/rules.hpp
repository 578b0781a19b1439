// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstdint>

#include <unmask/config.hpp>

// What the layers and the optimiser do with single numbers, once for both processors.

namespace language_model {

namespace detail {
// std::max and std::min, which device code can't call.
UNMASK_HOST_DEVICE constexpr const float& largest(const float& a, const float& b) {
    return a < b ? b : a;
}
UNMASK_HOST_DEVICE constexpr const float& smallest(const float& a, const float& b) {
    return b < a ? b : a;
}
} // namespace detail

/// exp(x) to a relative error below 1e-6, in a form that compilers vectorise. Input beyond ±87 is clamped.
UNMASK_HOST_DEVICE inline float fast_exp(float x) {
    constexpr float shift = 0x1.8p23F; // adding it rounds to an integer, left in the low bits
    const float scaled = detail::smallest(detail::largest(x, -87.0F), 87.0F) * 1.44269504F;
    const float shifted = scaled + shift;
    const float fraction = scaled - (shifted - shift); // in [-0.5, 0.5]
    float power = 1.5403530e-4F;                       // the Taylor series of 2^fraction
    power = power * fraction + 1.33335581e-3F;
    power = power * fraction + 9.61812911e-3F;
    power = power * fraction + 5.55041087e-2F;
    power = power * fraction + 2.40226507e-1F;
    power = power * fraction + 6.93147181e-1F;
    power = power * fraction + 1.0F;
    return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, power) +
                                         (__builtin_bit_cast(std::uint32_t, shifted) << 23));
}

/// input · sigmoid(gate)
UNMASK_HOST_DEVICE inline float gated(float input, float gate) {
    return input / (1.0F + fast_exp(-gate));
}

/// Takes the gradient of gated in d_input and leaves that of the input there.
UNMASK_HOST_DEVICE inline void gated_gradients(const float& input, const float& gate, float& d_input, float& d_gate) {
    const float sigmoid = 1.0F / (1.0F + fast_exp(-gate));
    d_gate = d_input * input * sigmoid * (1.0F - sigmoid);
    d_input *= sigmoid;
}

/// SwiGLU (Shazeer, arXiv 2002.05202): gate · sigmoid(gate) · up
UNMASK_HOST_DEVICE inline float swiglu_of(float gate, float up) {
    return gate * up / (1.0F + fast_exp(-gate));
}

/// Its gradients.
UNMASK_HOST_DEVICE inline void swiglu_gradients(const float& gate, const float& up, const float& d_output,
                                                float& d_gate, float& d_up) {
    const float sigmoid = 1.0F / (1.0F + fast_exp(-gate));
    d_up = d_output * gate * sigmoid;
    d_gate = d_output * up * sigmoid * (1.0F + gate * (1.0F - sigmoid));
}

/// Two numbers of a head, turned by an angle.
UNMASK_HOST_DEVICE inline void turn(float& low, float& high, float cosine, float sine) {
    const float x = low;
    const float y = high;
    low = x * cosine - y * sine;
    high = x * sine + y * cosine;
}

/// AdamW (Loshchilov and Hutter, arXiv 1711.05101) at one step.
struct adamw_step {
    float beta1;
    float beta2;
    float pace;       ///< the learning rate, corrected for the first moment's bias
    float correction; ///< of the second moment
    float decay;      ///< what weights that decay are multiplied by

    /// Changes one weight and its moments. `keep` is decay or 1, `clip` shortens the gradient.
    UNMASK_HOST_DEVICE void operator()(float& weight, float& first, float& second, float gradient, float keep,
                                       float clip) const {
        const float clipped = clip * gradient;
        first = beta1 * first + (1.0F - beta1) * clipped;
        second = beta2 * second + (1.0F - beta2) * clipped * clipped;
        weight = keep * weight - pace * first / (std::sqrt(second * correction) + 1e-8F);
    }
};

} // namespace language_model
