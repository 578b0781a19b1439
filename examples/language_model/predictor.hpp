// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <unmask/cpu/executor.hpp>

#include "checkpoint.hpp"
#include "variant.hpp"

namespace language_model {

/// A trained model whose policies are known at run time only: a checkpoint names them.
class predictor {
public:
    virtual ~predictor() = default;

    /// What stands at some positions of one sequence: logits [positions, vocabulary]. The tokens, masks among them, go
    /// through the whole model; only the positions asked for go through the head. Workers of different numbers may call
    /// at the same time.
    virtual void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                         std::span<const index_t> positions, matrix logits) = 0;
};

/// The predictor of one kind of transformer. Keeps the memory of a forward pass for every worker, and the memory is
/// made anew when a sequence of another length arrives.
template <class Model>
class predictor_of final : public predictor {
public:
    predictor_of(Model model, std::vector<float> weights, int workers)
        : model_(std::move(model)), weights_(std::move(weights)), bound_(model_.bound(weights_.data())),
          memory_(static_cast<std::size_t>(workers)) {}

    void predict(const unmask::cpu_executor& exec, int worker, std::span<const token_t> tokens,
                 std::span<const index_t> positions, matrix logits) override {
        const auto length = static_cast<index_t>(tokens.size());
        memory& own = memory_[static_cast<std::size_t>(worker)];
        if (!own.work || own.work->length != length) {
            own.work.emplace(model_.make_workspace(1, length));
        }
        model_.encode(exec, bound_, tokens, *own.work);

        const index_t width = model_.shape().width;
        own.chosen.resize(positions.size() * static_cast<std::size_t>(width));
        const matrix chosen = unmask::view(own.chosen.data(), positions.size(), width);
        for (std::size_t i = 0; i < positions.size(); ++i) {
            std::copy_n(own.work->final_normed.pointer(positions[i]), width, chosen.pointer(i));
        }
        multiply(chosen, bound_.head, logits);
    }

private:
    struct memory {
        std::optional<workspace> work;
        std::vector<float> chosen; ///< what the head reads
    };

    Model model_;
    std::vector<float> weights_;
    typename Model::weights_type bound_;
    std::vector<memory> memory_;
};

/// The model of a checkpoint, with memory for some workers. Throws std::runtime_error if the file holds none.
inline std::unique_ptr<predictor> load_predictor(const safetensors_file& file, const model_card& card, int workers) {
    return with_variant(card.sink, card.shape, [&](const auto& model) -> std::unique_ptr<predictor> {
        using model_type = std::remove_cvref_t<decltype(model)>;
        return std::make_unique<predictor_of<model_type>>(model, weights_of(file, model.places()), workers);
    });
}

} // namespace language_model
