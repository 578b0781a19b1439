// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/random/philox.hpp>

#include "denoiser.hpp"
#include "estimate.hpp"

namespace pretrained {

using examples::estimate;
using examples::estimate_of;

/// How likely a model finds texts that another one wrote: 15 % of each text's tokens, chosen by the seed and the
/// text's number, are hidden at once, and the loss is their mean negative log-probability, in nats, among the tokens
/// that stand for text.
class judge {
public:
    /// The model must outlive the judge.
    judge(const loaded_model& model, const unmask::cpu_executor& exec) : model_(&model), exec_(exec) {}

    /// The loss of each text.
    [[nodiscard]] std::vector<double> losses(const std::vector<std::string>& texts, std::uint32_t seed) const {
        std::vector<double> result(texts.size());
        std::vector<encoder<>> encoders(static_cast<std::size_t>(exec_.workers()), model_->make_encoder());
        exec_.parallel_for(std::ssize(texts), [&](index_t i, int worker) {
            const auto text = static_cast<std::size_t>(i);
            result[text] = loss(encoders[static_cast<std::size_t>(worker)], texts[text], {{seed, 0x6a756467U}},
                                static_cast<std::uint32_t>(i));
        });
        return result;
    }

private:
    [[nodiscard]] double loss(encoder<>& model, const std::string& text, const unmask::philox& generator,
                              std::uint32_t number) const {
        const std::vector<token_t> truth = model_->tokens.encode(text);
        std::vector<std::pair<std::uint32_t, index_t>> order; // without the frame
        for (index_t i = 1; i + 1 < std::ssize(truth); ++i) {
            order.emplace_back(generator({static_cast<std::uint32_t>(i), number, 0, 0})[0], i);
        }
        std::sort(order.begin(), order.end());
        order.resize(std::max<std::size_t>(1, (order.size() * 15 + 50) / 100));
        std::vector<token_t> tokens = truth;
        std::vector<index_t> hidden;
        for (const auto& [draw, position] : order) {
            tokens[static_cast<std::size_t>(position)] = model_->tokens.mask();
            hidden.push_back(position);
        }
        const unmask::cpu_executor one{1};
        const index_t vocabulary = model.vocabulary();
        std::vector<float> logits(hidden.size() * static_cast<std::size_t>(vocabulary));
        model.forward(one, tokens, positions_from_0(tokens.size()), unmask::bidirectional{});
        model.logits(one, hidden, unmask::view(logits.data(), std::ssize(hidden), vocabulary));
        for (const token_t token : model_->tokens.special()) {
            for (std::size_t row = 0; row < hidden.size(); ++row) {
                logits[row * static_cast<std::size_t>(vocabulary) + static_cast<std::size_t>(token)] = -INFINITY;
            }
        }
        double sum = 0.0;
        for (std::size_t row = 0; row < hidden.size(); ++row) {
            const float* numbers = logits.data() + row * static_cast<std::size_t>(vocabulary);
            const float most = *std::max_element(numbers, numbers + vocabulary);
            double total = 0.0;
            for (index_t token = 0; token < vocabulary; ++token) {
                total += std::exp(static_cast<double>(numbers[token]) - most);
            }
            sum -= static_cast<double>(numbers[truth[static_cast<std::size_t>(hidden[row])]]) - most - std::log(total);
        }
        return sum / static_cast<double>(hidden.size());
    }

    const loaded_model* model_;
    unmask::cpu_executor exec_;
};

} // namespace pretrained
