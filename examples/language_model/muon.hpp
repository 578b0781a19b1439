// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "adamw.hpp"
#include "blas.hpp"
#include "training.hpp"
#include "weights.hpp"

namespace language_model {

using namespace examples;

/// Nearly the orthogonal matrix next to x: x = U S Vᵀ becomes U S' Vᵀ with S' between about 0.7 and 1.2. Five steps of
/// the Newton–Schulz iteration with the coefficients of Jordan et al. (https://kellerjordan.github.io/posts/muon).
inline void orthogonalize(matrix x) {
    constexpr float a = 3.4445F;
    constexpr float b = -4.7750F;
    constexpr float c = 2.0315F;
    const index_t rows = x.extents[0];
    const index_t columns = x.extents[1];
    const bool wide = rows <= columns;
    const index_t small = std::min(rows, columns);
    double squares = 0.0;
    for (index_t i = 0; i < x.size(); ++i) {
        squares += static_cast<double>(x.data[i]) * static_cast<double>(x.data[i]);
    }
    const auto scale = static_cast<float>(1.0 / (std::sqrt(squares) + 1e-7));
    for (index_t i = 0; i < x.size(); ++i) {
        x.data[i] *= scale;
    }
    std::vector<float> memory(static_cast<std::size_t>(2 * small * small + x.size()));
    const matrix gram = unmask::view(memory.data(), small, small);
    const matrix square = unmask::view(memory.data() + small * small, small, small);
    const matrix product = unmask::view(memory.data() + 2 * small * small, rows, columns);
    for (int step = 0; step < 5; ++step) {
        examples::detail::gemm(wide ? CblasNoTrans : CblasTrans, x, wide ? CblasTrans : CblasNoTrans, x, 0.0F, gram);
        multiply(gram, gram, square);
        for (index_t i = 0; i < gram.size(); ++i) {
            gram.data[i] = b * gram.data[i] + c * square.data[i];
        }
        multiply(wide ? gram : x, wide ? x : gram, product);
        for (index_t i = 0; i < x.size(); ++i) {
            x.data[i] = a * x.data[i] + product.data[i];
        }
    }
}

/// Muon (Jordan et al., https://kellerjordan.github.io/posts/muon) for the matrices of a model: the mean of gradients
/// that came before is made orthogonal, and scaled so that it moves weights as far as AdamW does (Liu et al., arXiv
/// 2502.16982). Embeddings, norms and the head are AdamW's. Processes that share a run each make some matrices
/// orthogonal, which is most of the work, and give them to the others.
class muon {
public:
    explicit muon(const std::vector<tensor_place>& places, training_share share = {}) : share_(std::move(share)) {
        for (const tensor_place& place : places) {
            if (is_for_muon(place.purpose)) {
                const index_t parts = place.purpose == role::projections ? 3 : 1; // queries, keys, values
                for (index_t part = 0; part < parts; ++part) {
                    const index_t columns = place.columns / parts;
                    matrices_.push_back({place.offset + part * columns, place.rows, columns, place.columns});
                }
            }
        }
        std::stable_sort(matrices_.begin(), matrices_.end(),
                         [](const auto& a, const auto& b) { return a.size() > b.size(); });
        index_t end = 0;
        for (index_t rank = 0; rank < share_.ranks; ++rank) {
            begins_.push_back(end);
            for (index_t i = rank; i < std::ssize(matrices_); i += share_.ranks) {
                strided& which = matrices_[static_cast<std::size_t>(i)];
                which.rank = rank;
                which.direction = std::exchange(end, end + which.size());
            }
        }
        begins_.push_back(end);
    }

    /// Changes matrices and their means, [parameters] each. The same bits for any number of threads and of processes.
    void update(const unmask::cpu_executor& exec, const optimizer_settings& settings, index_t step, float* weights,
                float* means, const float* gradient) {
        const double rate = learning_rate(settings, step);
        const auto keep = static_cast<float>(1.0 - rate * settings.weight_decay);
        const auto momentum = static_cast<float>(settings.momentum);
        directions_.resize(static_cast<std::size_t>(begins_.back()));
        const auto for_each_matrix = [&](const auto& visit) {
            exec.parallel_for(static_cast<index_t>(matrices_.size()), [&](index_t i, int) {
                const strided& which = matrices_[static_cast<std::size_t>(i)];
                visit(which, unmask::view(directions_.data() + which.direction, which.rows, which.columns));
            });
        };
        for_each_matrix([&](const strided& which, const matrix& direction) {
            for (index_t row = 0; row < which.rows; ++row) {
                float* mean = means + which.offset + row * which.stride;
                const float* g = gradient + which.offset + row * which.stride;
                float* d = direction.pointer(row);
                for (index_t column = 0; column < which.columns; ++column) {
                    mean[column] = momentum * mean[column] + (1.0F - momentum) * g[column];
                    d[column] = momentum * mean[column] + (1.0F - momentum) * g[column]; // Nesterov's
                }
            }
            if (which.rank == share_.rank) {
                orthogonalize(direction);
            }
        });
        if (share_.give_to_all) {
            std::vector<std::span<float>> parts;
            for (std::size_t rank = 0; rank + 1 < begins_.size(); ++rank) {
                parts.emplace_back(directions_.data() + begins_[rank], directions_.data() + begins_[rank + 1]);
            }
            share_.give_to_all(parts);
        }
        for_each_matrix([&](const strided& which, const matrix& direction) {
            const auto pace =
                static_cast<float>(rate * 0.2 * std::sqrt(static_cast<double>(std::max(which.rows, which.columns))));
            for (index_t row = 0; row < which.rows; ++row) {
                float* w = weights + which.offset + row * which.stride;
                const float* d = direction.pointer(row);
                for (index_t column = 0; column < which.columns; ++column) {
                    w[column] = keep * w[column] - pace * d[column];
                }
            }
        });
    }

private:
    struct strided {
        index_t offset;
        index_t rows;
        index_t columns;
        index_t stride;
        index_t rank = 0;      // that makes it orthogonal
        index_t direction = 0; // where that is then

        [[nodiscard]] index_t size() const { return rows * columns; }
    };
    training_share share_;
    std::vector<strided> matrices_;   // the largest first, so that no thread is left with one at the end
    std::vector<float> directions_{}; // of all matrices, those of a rank after each other
    std::vector<index_t> begins_{};   // of the ranks' directions, and the end
};

} // namespace language_model
