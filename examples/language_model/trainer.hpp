// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>

#include "adamw.hpp"
#include "cpu_layers.hpp"
#include "evaluate.hpp"
#include "loss.hpp"
#include "muon.hpp"
#include "training.hpp"
#include "workspace.hpp"

namespace language_model {

/// Trains a transformer: data parallel over shards of the batch, each with a gradient of its own.
template <class Model>
class trainer {
public:
    /// Text [tokens] must outlive the trainer; the mask is the token that hides another.
    trainer(Model model, const training_settings& settings, std::span<const token_t> text, token_t mask, int threads)
        : trainer(std::move(model), settings, batches_of_text(text, settings, mask), threads) {}

    /// The same with batches from elsewhere, and perhaps of a part of each. Processes that share a run take the steps
    /// of one alone, up to the order in which their gradients are added.
    trainer(Model model, const training_settings& settings, batch_source source, int threads, training_share share = {})
        : model_(std::move(model)), settings_(settings), source_(std::move(source)), share_(std::move(share)),
          exec_{threads}, weights_(initial_weights(model_.places(), model_.shape(), settings.seed, settings.start)),
          optimizer_(model_.places(), for_adamw(model_.places(), settings)), muon_(model_.places(), share_) {
        if (settings.pass < 1 || settings.batch < settings.pass || settings.batch % settings.pass != 0) {
            throw std::invalid_argument("trainer: the batch must be a multiple of the sequences of a pass");
        }
        if (settings.batch / settings.pass < share_.ranks) {
            throw std::invalid_argument("trainer: a batch has " + std::to_string(settings.batch / settings.pass) +
                                        " passes, expected at least one for each of " + std::to_string(share_.ranks) +
                                        " processes");
        }
        use_one_blas_thread();
        const index_t shards = std::min(most_shards, first_pass(share_.rank + 1) - first_pass(share_.rank));
        gradients_.assign(static_cast<std::size_t>(shards), std::vector<float>(weights_.size()));
        for (int worker = 0; worker < exec_.workers(); ++worker) {
            workspaces_.push_back(model_.make_workspace(settings.pass, settings.length));
        }
    }

    /// One step; counts from 0. Returns the loss of its batch before the update, in nats a token.
    double step(index_t step) {
        const training_batch batch = source_(step);
        const auto shards = static_cast<index_t>(gradients_.size());
        const index_t begin = first_pass(share_.rank);
        const index_t passes = first_pass(share_.rank + 1) - begin;
        std::vector<double> losses(gradients_.size());
        exec_.parallel_for(shards, [&](index_t shard, int worker) {
            std::vector<float>& gradient = gradients_[static_cast<std::size_t>(shard)];
            std::fill(gradient.begin(), gradient.end(), 0.0F);
            double loss_of_shard = 0.0;
            for (index_t pass = shard * passes / shards; pass < (shard + 1) * passes / shards; ++pass) {
                loss_of_shard +=
                    accumulate(batch, begin + pass, gradient, workspaces_[static_cast<std::size_t>(worker)]);
            }
            losses[static_cast<std::size_t>(shard)] = loss_of_shard;
        });
        double loss = std::accumulate(losses.begin(), losses.end(), 0.0);
        std::span<std::vector<float>> gradients = gradients_;
        if (share_.sum_over_ranks) {
            optimizer_.add_up(exec_, gradients);
            share_.sum_over_ranks(gradients_[0], loss);
            gradients = gradients.first(1);
        }
        optimizer_.update(exec_, settings_.optimizer, step, weights_, gradients);
        if (settings_.optimizer.muon) {
            muon_.update(exec_, settings_.optimizer, step, weights_.data(), optimizer_.first.data(),
                         gradients_[0].data());
        }
        average(step);
        return loss;
    }

    [[nodiscard]] const Model& model() const { return model_; }
    [[nodiscard]] const unmask::cpu_executor& executor() const { return exec_; }
    [[nodiscard]] std::vector<float>& weights() { return weights_; }

    /// What a run is for: the mean of the weights, if the settings ask for one.
    [[nodiscard]] std::vector<float>& result() { return settings_.average > 0 ? average_ : weights_; }

    /// Everything the next step depends on: weights and moments. The card says which step that is.
    void save(const std::string& path, const model_card& card) const { save(path, to_metadata(card)); }

    void save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
        save_state(path, model_.places(), weights_, optimizer_.first, optimizer_.second, average_, metadata);
    }

    void load(const safetensors_file& file) {
        weights_ = weights_of(file, model_.places());
        optimizer_.first = moment_of(file, "first_moment", weights_);
        optimizer_.second = moment_of(file, "second_moment", weights_);
        if (settings_.average > 0) {
            average_ = moment_of(file, "average", weights_);
        }
    }

    /// The bound of the result as it is.
    [[nodiscard]] bound held_out_bound(std::span<const token_t> text, token_t mask, const bound_settings& settings) {
        return language_model::held_out_bound(exec_, model_, result(), text, mask, settings);
    }

private:
    // More would balance more threads and cost more memory. Fixed, because it decides the order of the sums.
    static constexpr index_t most_shards = 4;

    // The first pass of a rank's part; that of one rank too many is the number of passes.
    [[nodiscard]] index_t first_pass(index_t rank) const {
        return rank * (settings_.batch / settings_.pass) / share_.ranks;
    }

    // What is not Muon's.
    static std::vector<tensor_place> for_adamw(const std::vector<tensor_place>& places,
                                               const training_settings& settings) {
        std::vector<tensor_place> rest;
        std::copy_if(places.begin(), places.end(), std::back_inserter(rest), [&](const tensor_place& place) {
            return !settings.optimizer.muon || !is_for_muon(place.purpose);
        });
        return rest;
    }

    // Takes the weights after a step into their mean, which is over fewer steps at the beginning.
    void average(index_t step) {
        if (settings_.average == 0) {
            return;
        }
        const auto most = static_cast<double>(settings_.average);
        const auto share = static_cast<float>(std::max(1.0 / most, 9.0 / (10.0 + static_cast<double>(step))));
        average_.resize(weights_.size());
        constexpr index_t part = 1 << 15;
        exec_.parallel_for((std::ssize(weights_) + part - 1) / part, [&](index_t i, int) {
            const index_t end = std::min(std::ssize(weights_), (i + 1) * part);
            for (index_t j = i * part; j < end; ++j) {
                const auto at = static_cast<std::size_t>(j);
                average_[at] += share * (weights_[at] - average_[at]);
            }
        });
    }

    // Adds one pass to a gradient; returns its part of the loss.
    double accumulate(const training_batch& batch, index_t pass, std::vector<float>& gradient, workspace& work) {
        const auto count = static_cast<std::size_t>(settings_.pass * settings_.length);
        const std::size_t begin = static_cast<std::size_t>(pass) * count;
        const auto tokens = std::span(batch.tokens).subspan(begin, count);
        const cpu_layers one_thread{{1}};
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
    training_share share_;
    unmask::cpu_executor exec_;
    std::vector<float> weights_;
    adamw optimizer_;
    muon muon_;
    std::vector<float> average_; ///< of the weights
    std::vector<std::vector<float>> gradients_;
    std::vector<workspace> workspaces_;
};

} // namespace language_model
