// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include <unmask/executor/caching_memory_resource.cuh>

#include "../transformer.hpp"
#include "adamw.cuh"
#include "cuda_layers.cuh"
#include "device_trainer.hpp"
#include "own_stream.cuh"

namespace language_model {

/// Trains a transformer on the GPU. T is float or unmask::bfloat16.
template <class Model, class T>
class device_trainer_of final : public device_trainer {
public:
    device_trainer_of(Model model, const device_training& training)
        : model_(std::move(model)), exec_{stream_.get(), &scratch_}, on_(exec_, blas_), weights_(model_.parameters()),
          gradients_(model_.parameters()), products_(std::is_same_v<T, float> ? 0 : model_.parameters()),
          optimizer_(slices_of(model_.places(), 4096), model_.parameters()),
          work_(make_workspace(training.pass, training.length, workspace_use::training)), loss_(1) {
        set_state({std::vector<float>(static_cast<std::size_t>(weights_.size())), optimizer_.first.read(),
                   optimizer_.second.read()});
    }

    double step(const training_batch& batch, const adamw_step& rule, double largest_norm) override {
        on_.clear(unmask::view(gradients_.data(), 1, gradients_.size()));
        const auto backward = [&](std::span<const token_t> tokens) {
            model_.backward(on_, bound_weights(), model_.bound(gradients_.data()), tokens, work_);
        };
        const auto update = [&] {
            optimizer_.update(exec_, rule, largest_norm, weights_.data(), gradients_.data(), products_.data());
        };
        return add_up(batch, work_, backward, update);
    }

    double loss(const training_batch& batch, index_t length) override {
        const index_t sequences = std::ssize(batch.tokens) / length;
        if (!measured_ || measured_->batch != sequences || measured_->length != length) {
            measured_.reset();
            measured_.emplace(make_workspace(sequences, length, workspace_use::inference));
        }
        return add_up(batch, *measured_, [](std::span<const token_t>) {}, [] {});
    }

    [[nodiscard]] training_state state() const override {
        return {weights_.read(), optimizer_.first.read(), optimizer_.second.read()};
    }
    void set_state(const training_state& state) override {
        weights_.write(state.weights);
        optimizer_.first.write(state.first_moment);
        optimizer_.second.write(state.second_moment);
        if constexpr (!std::is_same_v<T, float>) {
            round_weights(exec_, weights_.data(), products_.data(), weights_.size());
            expect_success(cudaStreamSynchronize(exec_.stream), "cudaStreamSynchronize");
        }
    }

private:
    using workspace_type = workspace_in<T, device_memory>;

    [[nodiscard]] workspace_type make_workspace(index_t sequences, index_t length, workspace_use use) const {
        return model_.template make_workspace<workspace_type>(sequences, length, use);
    }
    [[nodiscard]] auto bound_weights() const { return model_.bound(weights_.data(), products_.data()); }

    // The loss of all passes of a batch, each followed by after(tokens), and all by at_end(): enqueued, and waited for.
    template <class After, class AtEnd>
    double add_up(const training_batch& batch, workspace_type& work, const After& after, const AtEnd& at_end) {
        const index_t rows = work.batch * work.length;
        const scratch_array<token_t> all_tokens(exec_, batch.tokens);
        const scratch_array<token_t> targets(exec_, batch.targets);
        const scratch_array<float> weights(exec_, batch.weights);
        expect_success(cudaMemsetAsync(loss_.data(), 0, sizeof(double), exec_.stream), "cudaMemsetAsync");
        for (index_t first = 0; first < std::ssize(batch.tokens); first += rows) {
            const std::span tokens(all_tokens.data() + first, static_cast<std::size_t>(rows));
            model_.forward(on_, bound_weights(), tokens, work);
            on_.weighted_cross_entropy(work.logits, targets.data() + first, weights.data() + first, work.d_logits,
                                       loss_.data());
            after(tokens);
        }
        at_end();
        double loss = 0.0;
        expect_success(cudaMemcpyAsync(&loss, loss_.data(), sizeof loss, cudaMemcpyDeviceToHost, exec_.stream),
                       "cudaMemcpyAsync");
        expect_success(cudaStreamSynchronize(exec_.stream), "cudaStreamSynchronize");
        return loss;
    }

    Model model_;
    own_stream stream_;
    unmask::caching_memory_resource scratch_;
    unmask::cuda_executor exec_;
    device_blas blas_;
    cuda_layers on_;
    device_array<float> weights_;
    device_array<float> gradients_;
    device_array<T> products_; // the weights, rounded; empty where T is float
    device_adamw optimizer_;
    workspace_type work_;
    std::optional<workspace_type> measured_; // for loss()
    device_array<double> loss_;
};

} // namespace language_model
