// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "adamw.hpp"
#include "batch.hpp"
#include "checkpoint.hpp"
#include "loss.hpp"
#include "workspace.hpp"

namespace language_model {

/// What a training run sees. Two runs with equal settings take the same steps to the bit, whatever the threads.
struct training_settings {
    index_t batch = 16;   ///< sequences a step, a multiple of `pass`
    index_t length = 256; ///< characters a sequence; tokens, if a batch source makes others of them
    index_t pass = 2;     ///< sequences that go through the model together: as many as keep its activations in cache
    std::uint32_t seed = 1;
    optimizer_settings optimizer;
    weight_draw start = weight_draw::by_number;
};

/// The batch of a step, [batch, length] as the settings say. It must depend on the step alone.
using batch_source = std::function<training_batch(index_t step)>;

/// Trains a transformer: data parallel over shards of the batch, each with a gradient of its own.
template <class Model>
class trainer {
public:
    /// Text [characters] must outlive the trainer; the mask is the token that hides a character.
    trainer(Model model, const training_settings& settings, std::span<const token_t> text, token_t mask, int threads)
        : trainer(
              std::move(model), settings,
              [settings, text, mask](index_t step) {
                  return make_batch(text, settings.batch, settings.length, mask, settings.seed, step);
              },
              threads) {
        if (static_cast<index_t>(text.size()) < settings.length) {
            throw std::invalid_argument("trainer: the text is shorter than one sequence");
        }
    }

    /// The same with batches from elsewhere.
    trainer(Model model, const training_settings& settings, batch_source source, int threads)
        : model_(std::move(model)), settings_(settings), source_(std::move(source)), exec_{threads},
          weights_(initial_weights(model_.places(), model_.shape(), settings.seed, settings.start)),
          optimizer_(model_.places()) {
        if (settings.pass < 1 || settings.batch < settings.pass || settings.batch % settings.pass != 0) {
            throw std::invalid_argument("trainer: the batch must be a multiple of the sequences of a pass");
        }
        use_one_blas_thread();
        const index_t shards = std::min(most_shards, settings.batch / settings.pass);
        gradients_.assign(static_cast<std::size_t>(shards), std::vector<float>(weights_.size()));
        for (int worker = 0; worker < exec_.workers(); ++worker) {
            workspaces_.push_back(model_.make_workspace(settings.pass, settings.length));
        }
    }

    /// One step; counts from 0. Returns the loss of its batch before the update, in nats a character.
    double step(index_t step) {
        const training_batch batch = source_(step);
        const auto shards = static_cast<index_t>(gradients_.size());
        const index_t passes = settings_.batch / settings_.pass;
        std::vector<double> losses(gradients_.size());
        exec_.parallel_for(shards, [&](index_t shard, int worker) {
            std::vector<float>& gradient = gradients_[static_cast<std::size_t>(shard)];
            std::fill(gradient.begin(), gradient.end(), 0.0F);
            double loss = 0.0;
            for (index_t pass = shard * passes / shards; pass < (shard + 1) * passes / shards; ++pass) {
                loss += accumulate(batch, pass, gradient, workspaces_[static_cast<std::size_t>(worker)]);
            }
            losses[static_cast<std::size_t>(shard)] = loss;
        });
        optimizer_.update(exec_, settings_.optimizer, step, weights_, gradients_);
        return std::accumulate(losses.begin(), losses.end(), 0.0);
    }

    [[nodiscard]] const Model& model() const { return model_; }
    [[nodiscard]] const unmask::cpu_executor& executor() const { return exec_; }
    [[nodiscard]] std::vector<float>& weights() { return weights_; }

    /// Everything the next step depends on: weights and moments. The card says which step that is.
    void save(const std::string& path, const model_card& card) const { save(path, to_metadata(card)); }

    void save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
        auto tensors = named(model_.places(), weights_);
        const std::vector<index_t> all = {model_.parameters()};
        tensors["first_moment"] = tensor_values<float>{all, optimizer_.first, {}};
        tensors["second_moment"] = tensor_values<float>{all, optimizer_.second, {}};
        write_safetensors(path, tensors, metadata);
    }

    void load(const safetensors_file& file) {
        const std::vector<index_t> all = {model_.parameters()};
        weights_ = weights_of(file, model_.places());
        const auto copy = [&](const char* name) {
            const auto numbers = file.tensor(name, all).as<float>();
            return std::vector<float>(numbers.values.begin(), numbers.values.end());
        };
        optimizer_.first = copy("first_moment");
        optimizer_.second = copy("second_moment");
    }

private:
    // More would balance more threads and cost more memory. Fixed, because it decides the order of the sums.
    static constexpr index_t most_shards = 4;

    // Adds one pass to a gradient; returns its part of the loss.
    double accumulate(const training_batch& batch, index_t pass, std::vector<float>& gradient, workspace& work) {
        const auto count = static_cast<std::size_t>(settings_.pass * settings_.length);
        const std::size_t begin = static_cast<std::size_t>(pass) * count;
        const auto tokens = std::span(batch.tokens).subspan(begin, count);
        const unmask::cpu_executor one_thread{1};
        const auto weights = model_.bound(weights_.data());
        model_.forward(one_thread, weights, tokens, work);
        const double loss = weighted_cross_entropy(work.logits, std::span(batch.targets).subspan(begin, count),
                                                   std::span(batch.weights).subspan(begin, count));
        model_.backward(one_thread, weights, model_.bound(gradient.data()), tokens, work);
        return loss;
    }

    Model model_;
    training_settings settings_;
    batch_source source_;
    unmask::cpu_executor exec_;
    std::vector<float> weights_;
    adamw optimizer_;
    std::vector<std::vector<float>> gradients_;
    std::vector<workspace> workspaces_;
};

} // namespace language_model
