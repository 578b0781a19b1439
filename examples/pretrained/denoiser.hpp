// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/io/safetensors.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "encoder.hpp"
#include "tokenizer.hpp"

namespace pretrained {

/// A model of a file: its weights and its vocabulary.
struct loaded_model {
    const model_description* description;
    encoder_weights weights;
    tokenizer tokens;

    /// Throws unmask::file_error if the file is of another model.
    loaded_model(const unmask::safetensors_file& file, const model_description& model)
        : description(&model), weights(weights_of(file, model)), tokens(file, model) {
        if (tokens.size() != weights.vocabulary()) {
            throw unmask::file_error(file.name, "the number of tokens", std::to_string(tokens.size()),
                                     std::to_string(weights.vocabulary()) + ", one for each row of the embeddings");
        }
        examples::use_one_blas_thread();
    }

    [[nodiscard]] encoder<> make_encoder() const { return {weights, *description}; }
};

/// 0, 1, 2, …
inline std::vector<index_t> positions_from_0(std::size_t count) {
    std::vector<index_t> positions(count);
    std::iota(positions.begin(), positions.end(), index_t{0});
    return positions;
}

/// A masked language model as unmask's sampler sees it: a denoiser. Sequences hold their frame; each is computed on one
/// thread, so that its logits don't depend on the others, several side by side.
class encoder_denoiser {
public:
    /// The model must outlive the denoiser.
    encoder_denoiser(const loaded_model& model, const unmask::cpu_executor& exec)
        : model_(&model), exec_(exec), encoders_(static_cast<std::size_t>(exec.workers()), model.make_encoder()) {}

    [[nodiscard]] unmask::vocabulary vocabulary() const {
        return {.size = static_cast<token_t>(model_->tokens.size()), .mask = model_->tokens.mask(), .end = {}};
    }

    /// Throws unmask::invalid_argument if a sequence is too long.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        struct part {
            index_t sequence;
            index_t first;
            std::vector<index_t> positions;
        };
        std::vector<part> parts;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (parts.empty() || parts.back().sequence != rows[i].sequence) {
                parts.push_back({rows[i].sequence, static_cast<index_t>(i), {}});
            }
            parts.back().positions.push_back(rows[i].position);
        }
        exec_.parallel_for(std::ssize(parts), [&](index_t i, int worker) {
            const auto& [sequence, first, positions] = parts[static_cast<std::size_t>(i)];
            const unmask::cpu_executor one{1};
            encoder<>& model = encoders_[static_cast<std::size_t>(worker)];
            const auto tokens = page.tokens(sequence);
            model.forward(one, tokens, positions_from_0(tokens.size()), unmask::bidirectional{});
            model.logits(one, positions, examples::rows_of(logits, first, std::ssize(positions)));
        });
    }

private:
    const loaded_model* model_;
    unmask::cpu_executor exec_;
    std::vector<encoder<>> encoders_; ///< of a worker
};

} // namespace pretrained
