// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/error.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/denoiser.hpp>

#include "predictor.hpp"
#include "text_codec.hpp"

namespace language_model {

/// What the denoisers of a checkpoint have in common.
class text_model {
public:
    [[nodiscard]] const model_card& card() const { return card_; }
    [[nodiscard]] const text_codec& codec() const { return codec_; }
    [[nodiscard]] unmask::vocabulary vocabulary() const { return {codec_.size(), codec_.mask(), {}}; }

    /// The longest text that it takes: what it was trained on, unless it was told otherwise.
    [[nodiscard]] index_t longest() const { return longest_; }

protected:
    /// A longest of 0 is the length of the texts that the model was trained on. Throws std::runtime_error if the file
    /// holds no model.
    text_model(const safetensors_file& file, const unmask::cpu_executor& exec, index_t longest)
        : card_(card_of(file)), codec_(card_.tokens), exec_(exec), longest_(longest > 0 ? longest : card_.length),
          model_(load_predictor(file, card_, exec.workers(), longest_)) {}

    /// Rows beside each other that belong to one sequence.
    struct part {
        index_t sequence;
        index_t first_row;
        std::vector<index_t> positions;

        [[nodiscard]] index_t rows() const { return std::ssize(positions); }
    };

    /// Throws unmask::invalid_argument if a sequence is too long.
    [[nodiscard]] std::vector<part> by_sequence(std::string_view function, const unmask::canvas& page,
                                                std::span<const unmask::row> rows) const {
        std::vector<part> parts;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (parts.empty() || parts.back().sequence != rows[i].sequence) {
                check_length(function, page.length(rows[i].sequence));
                parts.push_back({rows[i].sequence, static_cast<index_t>(i), {}});
            }
            parts.back().positions.push_back(rows[i].position);
        }
        return parts;
    }

    void check_length(std::string_view function, index_t length) const {
        if (length > longest_) {
            throw unmask::invalid_argument(function, "the length of a sequence", std::to_string(length),
                                           "at most " + std::to_string(longest_) +
                                               (longest_ == card_.length
                                                    ? ", the length of the texts that the model was trained on"
                                                    : ", as the model was told"));
        }
    }

    [[nodiscard]] const unmask::cpu_executor& executor() const { return exec_; }
    [[nodiscard]] predictor& model() const { return *model_; }

private:
    model_card card_;
    text_codec codec_;
    unmask::cpu_executor exec_;
    index_t longest_;
    std::unique_ptr<predictor> model_;
};

} // namespace language_model
