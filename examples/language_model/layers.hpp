// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>

#include "blas.hpp"
#include "rotary.hpp"
#include "rules.hpp"

namespace language_model {

using namespace examples;

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

/// Rotates every head of one row in place: element i with element head_dim / 2 + i. A direction of −1 turns back, which
/// is also the gradient.
inline void rotate(float* heads, index_t count, index_t head_dim, const float* angles, float direction) {
    const index_t half = head_dim / 2;
    for (index_t head = 0; head < count; ++head) {
        float* low = heads + head * head_dim;
        float* high = low + half;
#pragma omp simd
        for (index_t i = 0; i < half; ++i) {
            turn(low[i], high[i], angles[i], direction * angles[half + i]);
        }
    }
}

/// output = input · sigmoid(gate), element by element.
inline void gate_output(const_matrix input, const_matrix gate, matrix output) {
    for (index_t i = 0; i < output.size(); ++i) {
        output.data[i] = gated(input.data[i], gate.data[i]);
    }
}

/// Takes the gradient of gate_output's output in d_input and leaves that of its input there; overwrites the gate's.
inline void gate_output_backward(const_matrix input, const_matrix gate, matrix d_input, matrix d_gate) {
    for (index_t i = 0; i < input.size(); ++i) {
        gated_gradients(input.data[i], gate.data[i], d_input.data[i], d_gate.data[i]);
    }
}

/// output = swiglu_of(gate, up), row by row. Gate_up [rows, 2 · n], gates first.
inline void swiglu(const_matrix gate_up, matrix output) {
    const index_t n = output.extents[1];
    for (index_t row = 0; row < output.extents[0]; ++row) {
        const float* gate = gate_up.pointer(row);
        const float* up = gate + n;
        float* y = output.pointer(row);
#pragma omp simd
        for (index_t i = 0; i < n; ++i) {
            y[i] = swiglu_of(gate[i], up[i]);
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
            swiglu_gradients(gate[i], up[i], dy[i], d_gate[i], d_up[i]);
        }
    }
}

} // namespace language_model
