// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "blas.hpp"
#include "weights.hpp"

namespace pretrained {

using examples::matrix;

/// What an encoder needs besides attention. An executor of another kind specialises it.
template <class Executor>
struct encoder_backend;

/// On the CPU, with OpenBLAS, on the calling thread.
template <>
struct encoder_backend<unmask::cpu_executor> {
    using memory = std::vector<float>;

    /// output = the sum of the embeddings of tokens, positions and type 0.
    static void embed(const unmask::cpu_executor& /*exec*/, const encoder_weights& weights,
                      std::span<const token_t> tokens, std::span<const index_t> positions, matrix output) {
        for (std::size_t row = 0; row < tokens.size(); ++row) {
            const float* word = weights.words.pointer(tokens[row]);
            const float* position = weights.positions.pointer(positions[row]);
            float* to = output.pointer(row);
            for (index_t i = 0; i < output.extents[1]; ++i) {
                to[i] = word[i] + position[i] + (weights.type != nullptr ? weights.type[i] : 0.0F);
            }
        }
    }

    /// output = input · Wᵀ + b.
    static void linear(const unmask::cpu_executor& /*exec*/, const_matrix input, const linear_weights& weights,
                       matrix output) {
        for (index_t row = 0; row < output.extents[0]; ++row) {
            std::copy_n(weights.bias, output.extents[1], output.pointer(row));
        }
        examples::add_product_transposed(input, weights.weight, output);
    }

    /// rows += change.
    static void add(const unmask::cpu_executor& /*exec*/, const_matrix change, matrix rows) {
        for (index_t i = 0; i < rows.size(); ++i) {
            rows.data[i] += change.data[i];
        }
    }

    /// Layer normalisation (Ba et al., arXiv 1607.06450), in place.
    static void norm(const unmask::cpu_executor& /*exec*/, const norm_weights& weights, double epsilon, matrix rows) {
        const index_t width = rows.extents[1];
        for (index_t row = 0; row < rows.extents[0]; ++row) {
            float* x = rows.pointer(row);
            double sum = 0.0;
            for (index_t i = 0; i < width; ++i) {
                sum += x[i];
            }
            const double mean = sum / static_cast<double>(width);
            double squares = 0.0;
            for (index_t i = 0; i < width; ++i) {
                squares += (x[i] - mean) * (x[i] - mean);
            }
            const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + epsilon);
            for (index_t i = 0; i < width; ++i) {
                x[i] = static_cast<float>((x[i] - mean) * scale) * weights.gain[i] + weights.bias[i];
            }
        }
    }

    /// GELU (Hendrycks & Gimpel, arXiv 1606.08415), exactly, in place: x · Φ(x).
    static void gelu(const unmask::cpu_executor& /*exec*/, matrix rows) {
        for (index_t i = 0; i < rows.size(); ++i) {
            const float x = rows.data[i];
            rows.data[i] = 0.5F * x * (1.0F + std::erf(x * (std::numbers::sqrt2_v<float> / 2.0F)));
        }
    }

    /// Some rows of a matrix, one after the other.
    static void gather(const unmask::cpu_executor& /*exec*/, const_matrix from, std::span<const index_t> rows,
                       matrix output) {
        for (std::size_t row = 0; row < rows.size(); ++row) {
            std::copy_n(from.pointer(rows[row]), output.extents[1], output.pointer(row));
        }
    }
};

} // namespace pretrained
