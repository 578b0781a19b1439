// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/executor/cpu_executor.hpp>

#include "batch.hpp"
#include "cpu_layers.hpp"
#include "loss.hpp"
#include "weights.hpp"
#include "workspace.hpp"

// Gradients against differences, for the tests of every kind of model.

namespace language_model {

template <class Model>
double loss_of(const Model& model, std::vector<float>& weights, const training_batch& batch, workspace& work) {
    model.forward(cpu_layers{{1}}, model.bound(weights.data()), batch.tokens, work);
    return weighted_cross_entropy(work.logits, batch.targets, batch.weights);
}

/// Weights larger than training starts with, so that every part of the model matters and float noise does not.
template <class Model>
std::vector<float> large_weights(const Model& model, weight_draw draw = weight_draw::by_number) {
    std::vector<float> weights = initial_weights(model.places(), model.shape(), 7, draw);
    for (const tensor_place& place : model.places()) {
        for (index_t i = place.offset; i < place.offset + place.size(); ++i) {
            float& weight = weights[static_cast<std::size_t>(i)];
            const auto wave = static_cast<float>(std::sin(static_cast<double>(i)));
            weight = place.purpose == role::gain || place.purpose == role::bias ? weight + 0.3F * wave : 3.0F * weight;
        }
    }
    return weights;
}

/// Checks the gradients of all tensors, with these weights, on a batch of so many sequences.
template <class Model>
void check_gradients(const Model& model, std::vector<float> weights, const training_batch& batch, index_t sequences) {
    workspace work = model.make_workspace(sequences, std::ssize(batch.tokens) / sequences);
    std::vector<float> gradients(weights.size(), 0.0F);
    loss_of(model, weights, batch, work);
    model.backward(cpu_layers{{1}}, model.bound(weights.data()), model.bound(gradients.data()), batch.tokens, work);

    for (const tensor_place& place : model.places()) {
        // Along a direction: one number that depends on every element of the tensor.
        CAPTURE(place.name);
        for (const int direction : {1, 2, 3}) {
            std::vector<float> along(static_cast<std::size_t>(place.size()));
            double squares = 0.0;
            for (std::size_t i = 0; i < along.size(); ++i) {
                along[i] = static_cast<float>(std::cos(static_cast<double>(i) * 1.7 * direction + direction));
                squares += static_cast<double>(along[i]) * static_cast<double>(along[i]);
            }
            const double step = 0.02;
            const auto scale = static_cast<float>(step / std::sqrt(squares));
            double expected = 0.0;
            for (const int steps : {1, -1, 2, -2}) { // five-point stencil: the error falls with the fourth power
                std::vector<float> moved = weights;
                for (std::size_t i = 0; i < along.size(); ++i) {
                    moved[static_cast<std::size_t>(place.offset) + i] += static_cast<float>(steps) * scale * along[i];
                }
                const double factor = std::abs(steps) == 1 ? 8.0 / steps : -2.0 / steps;
                expected += factor * loss_of(model, moved, batch, work) / (12.0 * step);
            }
            double analytic = 0.0;
            double longest = 0.0;
            for (std::size_t i = 0; i < along.size(); ++i) {
                const double g = gradients[static_cast<std::size_t>(place.offset) + i];
                analytic += g * static_cast<double>(along[i]) / std::sqrt(squares);
                longest += g * g;
            }
            CAPTURE(direction);
            CHECK(longest > 0.0);
            CHECK(std::abs(analytic) > 1e-6);
            CHECK(std::abs(analytic - expected) < 1e-4 + 0.01 * std::abs(expected));
        }
    }
}

} // namespace language_model
