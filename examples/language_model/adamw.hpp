// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "rules.hpp"
#include "weights.hpp"

namespace language_model {

/// How a training run changes its weights.
struct optimizer_settings {
    double learning_rate = 2e-3;       ///< the highest
    double final_learning_rate = 1e-4; ///< at the last step
    index_t warm_up = 200;             ///< steps of linear rise
    index_t steps = 10000;             ///< of the whole run
    index_t cool_down = 0;             ///< steps at the end in which the rate falls; 0: it falls all the time
    bool muon = false;                 ///< muon.hpp changes the matrices, and AdamW the rest
    double momentum = 0.95;            ///< of Muon
    double beta1 = 0.9;
    double beta2 = 0.95;
    double weight_decay = 0.1; ///< of matrices only
    double largest_norm = 1.0; ///< longer gradients are shortened to this
};

/// Linear warm-up, then half a cosine down to the final rate; with a cool-down, the highest rate until that begins, and
/// a line down to the final one.
inline double learning_rate(const optimizer_settings& settings, index_t step) {
    if (step < settings.warm_up) {
        return settings.learning_rate * static_cast<double>(step + 1) / static_cast<double>(settings.warm_up);
    }
    if (settings.cool_down > 0) {
        const double left = static_cast<double>(settings.steps - step) / static_cast<double>(settings.cool_down);
        return settings.final_learning_rate +
               (settings.learning_rate - settings.final_learning_rate) * std::clamp(left, 0.0, 1.0);
    }
    const auto length = static_cast<double>(std::max<index_t>(1, settings.steps - settings.warm_up));
    const double progress = std::min(1.0, static_cast<double>(step - settings.warm_up) / length);
    return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * 0.5 *
                                              (1.0 + std::cos(std::numbers::pi * progress));
}

/// The numbers of one step, which counts from 0.
inline adamw_step step_of(const optimizer_settings& settings, index_t step) {
    const double rate = learning_rate(settings, step);
    const auto count = static_cast<double>(step + 1);
    return {.beta1 = static_cast<float>(settings.beta1),
            .beta2 = static_cast<float>(settings.beta2),
            .pace = static_cast<float>(rate / (1.0 - std::pow(settings.beta1, count))),
            .correction = static_cast<float>(1.0 / (1.0 - std::pow(settings.beta2, count))),
            .decay = static_cast<float>(1.0 - rate * settings.weight_decay)};
}

/// AdamW over one array of weights.
class adamw {
public:
    /// All gradients are added up, and the weights in `changed` changed: all of them, if nothing else is said.
    explicit adamw(const std::vector<tensor_place>& places) : adamw(places, places) {}
    adamw(const std::vector<tensor_place>& places, const std::vector<tensor_place>& changed)
        : first(static_cast<std::size_t>(size_of(places))), second(first.size()), slices_(slices_of(places, 1 << 15)),
          changed_(slices_of(changed, 1 << 15)) {}

    std::vector<float> first;  ///< running mean of the gradient
    std::vector<float> second; ///< running mean of its square

    /// Adds up the gradients in the order given, then changes the weights. Step counts from 0. Returns the norm of the
    /// gradient before clipping. The same bits for any number of threads: slices are fixed and summed in order.
    double update(const unmask::cpu_executor& exec, const optimizer_settings& settings, index_t step,
                  std::vector<float>& weights, std::vector<std::vector<float>>& gradients) {
        std::vector<double> squares(slices_.size());
        exec.parallel_for(static_cast<index_t>(slices_.size()), [&](index_t i, int) {
            squares[static_cast<std::size_t>(i)] = add_up(slices_[static_cast<std::size_t>(i)], gradients);
        });
        double square = 0.0;
        for (const double part : squares) {
            square += part;
        }
        const double norm = std::sqrt(square);
        const adamw_step rule = step_of(settings, step);
        const auto clip = static_cast<float>(norm > settings.largest_norm ? settings.largest_norm / norm : 1.0);
        exec.parallel_for(static_cast<index_t>(changed_.size()), [&](index_t i, int) {
            change(changed_[static_cast<std::size_t>(i)], rule, clip, weights.data(), gradients[0].data());
        });
        return norm;
    }

private:
    // Adds all gradients of a slice to the first one; the sum of the squares.
    static double add_up(const weight_slice& where, std::vector<std::vector<float>>& gradients) {
        float* sum = gradients[0].data() + where.begin;
        for (std::size_t part = 1; part < gradients.size(); ++part) {
            const float* more = gradients[part].data() + where.begin;
#pragma omp simd
            for (index_t i = 0; i < where.count; ++i) {
                sum[i] += more[i];
            }
        }
        float square = 0.0F;
#pragma omp simd reduction(+ : square)
        for (index_t i = 0; i < where.count; ++i) {
            square += sum[i] * sum[i];
        }
        return static_cast<double>(square);
    }

    void change(const weight_slice& where, adamw_step rule, float clip, float* weights, const float* gradient) {
        const float keep = where.decays ? rule.decay : 1.0F; // rule is a copy, which no weight can alias
        float* w = weights + where.begin;
        const float* g = gradient + where.begin;
        float* m = first.data() + where.begin;
        float* v = second.data() + where.begin;
#pragma omp simd
        for (index_t i = 0; i < where.count; ++i) {
            rule(w[i], m[i], v[i], g[i], keep, clip);
        }
    }

    std::vector<weight_slice> slices_;
    std::vector<weight_slice> changed_;
};

} // namespace language_model
