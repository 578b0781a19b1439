// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <unmask/cpu/executor.hpp>
#include <unmask/error.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "predictor.hpp"
#include "tokenizer.hpp"

namespace language_model {

/// The character model as unmask's sampler sees it: everything a user's own model has to provide is in here.
class language_model_denoiser {
public:
    /// Throws std::runtime_error if the file holds no model.
    language_model_denoiser(const safetensors_file& file, const unmask::cpu_executor& exec)
        : card_(card_of(file)), characters_(card_.alphabet), exec_(exec),
          model_(load_predictor(file, card_, exec.workers())) {
        use_one_blas_thread();
    }

    [[nodiscard]] const model_card& card() const { return card_; }
    [[nodiscard]] const tokenizer& characters() const { return characters_; }

    [[nodiscard]] unmask::vocabulary vocabulary() const { return {characters_.size(), characters_.mask(), {}}; }

    /// Throws unmask::invalid_argument if a sequence is longer than those the model was trained on.
    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        const std::vector<part> parts = by_sequence(page, rows);
        // Sequences side by side if there is one for every thread, otherwise one after another on all threads.
        const int workers = exec_.workers();
        const bool side_by_side = static_cast<index_t>(parts.size()) >= workers;
        const unmask::cpu_executor inside{side_by_side ? 1 : workers};
        const unmask::cpu_executor outside{side_by_side ? workers : 1};
        outside.parallel_for(static_cast<index_t>(parts.size()), [&](index_t i, int worker) {
            const part& each = parts[static_cast<std::size_t>(i)];
            model_->predict(inside, worker, page.tokens(each.sequence), each.positions,
                            rows_of(logits, each.first_row, static_cast<index_t>(each.positions.size())));
        });
    }

private:
    /// Rows beside each other that belong to one sequence.
    struct part {
        index_t sequence;
        index_t first_row;
        std::vector<index_t> positions;
    };

    [[nodiscard]] std::vector<part> by_sequence(const unmask::canvas& page, std::span<const unmask::row> rows) const {
        std::vector<part> parts;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (parts.empty() || parts.back().sequence != rows[i].sequence) {
                if (const index_t length = page.length(rows[i].sequence); length > card_.length) {
                    throw unmask::invalid_argument("language_model_denoiser::denoise", "the length of a sequence",
                                                   std::to_string(length),
                                                   "at most " + std::to_string(card_.length) +
                                                       ", the length of the texts that the model was trained on");
                }
                parts.push_back({rows[i].sequence, static_cast<index_t>(i), {}});
            }
            parts.back().positions.push_back(rows[i].position);
        }
        return parts;
    }

    model_card card_;
    tokenizer characters_;
    unmask::cpu_executor exec_;
    std::unique_ptr<predictor> model_;
};

} // namespace language_model
