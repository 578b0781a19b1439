// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cuda/device_trainer.hpp"
#include "evaluate.hpp"
#include "training.hpp"

namespace language_model {

/// Trains a transformer on the GPU: trainer.hpp with all sequences of a pass at once. It begins with the same weights,
/// sees the same batches, and writes and reads the same files. Two runs with equal settings take the same steps to the
/// bit on the same kind of GPU.
class cuda_trainer {
public:
    /// The places are those of the model on the device. Throws std::invalid_argument as trainer does.
    cuda_trainer(std::unique_ptr<device_trainer> device, std::vector<tensor_place> places, const model_shape& shape,
                 const training_settings& settings, batch_source source)
        : device_(std::move(device)), places_(std::move(places)), settings_(settings), source_(std::move(source)) {
        if (settings.pass < 1 || settings.batch < settings.pass || settings.batch % settings.pass != 0) {
            throw std::invalid_argument("cuda_trainer: the batch must be a multiple of the sequences of a pass");
        }
        if (settings.optimizer.muon || settings.average > 0) {
            throw std::invalid_argument("cuda_trainer: Muon and means of weights are the CPU's, expected neither");
        }
        training_state start{initial_weights(places_, shape, settings.seed, settings.start), {}, {}};
        start.first_moment.resize(start.weights.size());
        start.second_moment.resize(start.weights.size());
        device_->set_state(start);
    }

    /// One step; counts from 0. Returns the loss of its batch before the update, in nats a character.
    double step(index_t step) {
        const optimizer_settings& optimizer = settings_.optimizer;
        return device_->step(source_(step), step_of(optimizer, step), optimizer.largest_norm);
    }

    /// A copy, for the host.
    [[nodiscard]] std::vector<float> weights() const { return device_->state().weights; }

    [[nodiscard]] std::vector<float> result() const { return weights(); }

    /// Everything the next step depends on: weights and moments. The card says which step that is.
    void save(const std::string& path, const model_card& card) const { save(path, to_metadata(card)); }

    void save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
        const training_state now = device_->state();
        save_state(path, places_, now.weights, now.first_moment, now.second_moment, {}, metadata);
    }

    void load(const safetensors_file& file) {
        training_state saved{weights_of(file, places_), {}, {}};
        saved.first_moment = moment_of(file, "first_moment", saved.weights);
        saved.second_moment = moment_of(file, "second_moment", saved.weights);
        device_->set_state(saved);
    }

    /// The bound of the model as it is.
    [[nodiscard]] bound held_out_bound(std::span<const token_t> text, token_t mask, const bound_settings& settings) {
        const bound_windows windows(text, mask, settings);
        std::vector<double> losses;
        for (index_t window = 0; window < windows.count(); ++window) {
            losses.push_back(device_->loss(windows.batch(window), windows.rows()));
        }
        return windows.of(losses);
    }

private:
    std::unique_ptr<device_trainer> device_;
    std::vector<tensor_place> places_;
    training_settings settings_;
    batch_source source_;
};

} // namespace language_model
