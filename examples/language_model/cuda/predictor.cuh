// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/sampler/device_denoiser.cuh>

#include "../transformer.hpp"
#include "adamw.cuh"
#include "cuda_layers.cuh"

namespace language_model {

/// A trained model on the GPU whose policies are known at run time only.
class device_predictor {
public:
    virtual ~device_predictor() = default;

    /// What stands at some positions of texts of one length: see unmask::device_denoiser. Takes memory at the first
    /// call and when the texts are others.
    virtual void predict(const unmask::cuda_executor& exec, const unmask::device_canvas& page,
                         const unmask::device_rows& rows, const matrix& logits) = 0;
};

/// T is float or unmask::bfloat16.
template <class Model, class T>
class device_predictor_of final : public device_predictor {
public:
    device_predictor_of(Model model, const std::vector<float>& weights)
        : model_(std::move(model)), weights_(weights), products_(std::is_same_v<T, float> ? 0 : std::ssize(weights)) {
        if constexpr (!std::is_same_v<T, float>) {
            round_weights({}, weights_.data(), products_.data(), weights_.size());
            expect_success(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
        }
    }

    void predict(const unmask::cuda_executor& exec, const unmask::device_canvas& page, const unmask::device_rows& rows,
                 const matrix& logits) override {
        const index_t length = page.length(0);
        for (index_t sequence = 1; sequence < page.sequences(); ++sequence) {
            if (page.length(sequence) != length) {
                throw std::invalid_argument("the texts have different lengths, expected one length for all on the GPU");
            }
        }
        if (!work_ || work_->batch != page.sequences() || work_->length != length) {
            work_.reset();
            work_.emplace(
                model_.template make_workspace<workspace_type>(page.sequences(), length, workspace_use::inference));
        }
        if (!asked_ || asked_->size() < rows.most * model_.shape().width) {
            asked_.reset();
            asked_.emplace(rows.most * model_.shape().width);
        }
        const cuda_layers on(exec, blas_);
        const auto weights = model_.bound(weights_.data(), products_.data());
        model_.encode(on, weights, std::span(page.tokens, static_cast<std::size_t>(page.sequences() * length)), *work_);
        const matrix_of<T> asked = unmask::view(asked_->data(), rows.most, model_.shape().width);
        on.gather(work_->final_normed, length, rows, asked);
        on.multiply(asked, weights.head, logits);
    }

private:
    using workspace_type = workspace_in<T, device_memory>;

    Model model_;
    device_array<float> weights_;
    device_array<T> products_;
    device_blas blas_;
    std::optional<workspace_type> work_;
    std::optional<device_array<T>> asked_; // the rows asked for, [rows, width]
};

} // namespace language_model
