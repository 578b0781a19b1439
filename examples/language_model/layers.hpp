// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "blas.hpp"

namespace language_model {

using namespace examples;

/// exp(x) to a relative error below 1e-6, in a form that compilers vectorise. Input beyond ±87 is clamped.
inline float fast_exp(float x) {
    constexpr float shift = 0x1.8p23F; // adding it rounds to an integer, left in the low bits
    const float scaled = std::min(std::max(x, -87.0F), 87.0F) * 1.44269504F;
    const float shifted = scaled + shift;
    const float fraction = scaled - (shifted - shift); // in [-0.5, 0.5]
    float power = 1.5403530e-4F;                       // the Taylor series of 2^fraction
    power = power * fraction + 1.33335581e-3F;
    power = power * fraction + 9.61812911e-3F;
    power = power * fraction + 5.55041087e-2F;
    power = power * fraction + 2.40226507e-1F;
    power = power * fraction + 6.93147181e-1F;
    power = power * fraction + 1.0F;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(power) + (std::bit_cast<std::uint32_t>(shifted) << 23));
}

namespace detail {
inline float inverse_rms(const float* x, index_t width) {
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (index_t i = 0; i < width; ++i) {
        sum += x[i] * x[i];
    }
    return 1.0F / std::sqrt(sum / static_cast<float>(width) + 1e-6F);
}
} // namespace detail

/// output = gain · input / rms(input), row by row. Gain [1, width].
inline void rms_norm(const_matrix input, const_matrix gain, matrix output) {
    const index_t width = input.extents[1];
    const float* g = gain.data;
    for (index_t row = 0; row < input.extents[0]; ++row) {
        const float* x = input.pointer(row);
        float* y = output.pointer(row);
        const float scale = detail::inverse_rms(x, width);
#pragma omp simd
        for (index_t i = 0; i < width; ++i) {
            y[i] = x[i] * scale * g[i];
        }
    }
}

/// Adds to both gradients of rms_norm.
inline void rms_norm_backward(const_matrix input, const_matrix gain, const_matrix d_output, matrix d_input,
                              matrix d_gain) {
    const index_t width = input.extents[1];
    const float* g = gain.data;
    float* dg = d_gain.data;
    for (index_t row = 0; row < input.extents[0]; ++row) {
        const float* x = input.pointer(row);
        const float* dy = d_output.pointer(row);
        float* dx = d_input.pointer(row);
        const float scale = detail::inverse_rms(x, width);
        float dot = 0.0F;
#pragma omp simd reduction(+ : dot)
        for (index_t i = 0; i < width; ++i) {
            dot += dy[i] * g[i] * x[i];
        }
        const float along = dot * scale * scale / static_cast<float>(width);
#pragma omp simd
        for (index_t i = 0; i < width; ++i) {
            dx[i] += scale * (dy[i] * g[i] - x[i] * along);
            dg[i] += dy[i] * x[i] * scale;
        }
    }
}

/// The angles of rotary position embedding (Su et al., arXiv 2104.09864), base 10 000: row p holds cos and sin of
/// p · base^(−2i / head_dim) for i < head_dim / 2. Table [positions, head_dim].
inline void fill_rotary_table(matrix table) {
    const index_t half = table.extents[1] / 2;
    for (index_t position = 0; position < table.extents[0]; ++position) {
        for (index_t i = 0; i < half; ++i) {
            const double angle =
                static_cast<double>(position) * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(half));
            table(position, i) = static_cast<float>(std::cos(angle));
            table(position, half + i) = static_cast<float>(std::sin(angle));
        }
    }
}

/// Rotates every head of one row in place: element i with element head_dim / 2 + i. A direction of −1 turns back, which
/// is also the gradient.
inline void rotate(float* heads, index_t count, index_t head_dim, const float* angles, float direction) {
    const index_t half = head_dim / 2;
    for (index_t head = 0; head < count; ++head) {
        float* low = heads + head * head_dim;
        float* high = low + half;
#pragma omp simd
        for (index_t i = 0; i < half; ++i) {
            const float cosine = angles[i];
            const float sine = direction * angles[half + i];
            const float x = low[i];
            const float y = high[i];
            low[i] = x * cosine - y * sine;
            high[i] = x * sine + y * cosine;
        }
    }
}

/// output = input · sigmoid(gate), element by element.
inline void gate_output(const_matrix input, const_matrix gate, matrix output) {
    for (index_t i = 0; i < output.size(); ++i) {
        output.data[i] = input.data[i] / (1.0F + fast_exp(-gate.data[i]));
    }
}

/// Takes the gradient of gate_output's output in d_input and leaves that of its input there; overwrites the gate's.
inline void gate_output_backward(const_matrix input, const_matrix gate, matrix d_input, matrix d_gate) {
    for (index_t i = 0; i < input.size(); ++i) {
        const float sigmoid = 1.0F / (1.0F + fast_exp(-gate.data[i]));
        d_gate.data[i] = d_input.data[i] * input.data[i] * sigmoid * (1.0F - sigmoid);
        d_input.data[i] *= sigmoid;
    }
}

/// SwiGLU (Shazeer, arXiv 2002.05202): output = gate · sigmoid(gate) · up. Gate_up [rows, 2 · n], gates first.
inline void swiglu(const_matrix gate_up, matrix output) {
    const index_t n = output.extents[1];
    for (index_t row = 0; row < output.extents[0]; ++row) {
        const float* gate = gate_up.pointer(row);
        const float* up = gate + n;
        float* y = output.pointer(row);
#pragma omp simd
        for (index_t i = 0; i < n; ++i) {
            y[i] = gate[i] * up[i] / (1.0F + fast_exp(-gate[i]));
        }
    }
}

/// Overwrites the gradient of swiglu's input.
inline void swiglu_backward(const_matrix gate_up, const_matrix d_output, matrix d_gate_up) {
    const index_t n = d_output.extents[1];
    for (index_t row = 0; row < d_output.extents[0]; ++row) {
        const float* gate = gate_up.pointer(row);
        const float* up = gate + n;
        const float* dy = d_output.pointer(row);
        float* d_gate = d_gate_up.pointer(row);
        float* d_up = d_gate + n;
#pragma omp simd
        for (index_t i = 0; i < n; ++i) {
            const float sigmoid = 1.0F / (1.0F + fast_exp(-gate[i]));
            d_up[i] = dy[i] * gate[i] * sigmoid;
            d_gate[i] = dy[i] * up[i] * sigmoid * (1.0F + gate[i] * (1.0F - sigmoid));
        }
    }
}

} // namespace language_model
