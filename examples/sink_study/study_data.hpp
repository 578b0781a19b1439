// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "block_batch.hpp"
#include "retrieval.hpp"
#include "study_size.hpp"
#include "tokenizer.hpp"
#include "training_text.hpp"

namespace sink_study {

/// What the models of all tasks learn from and are evaluated on. Retrieval needs no data: its sequences are drawn.
class study_data {
public:
    /// A text and the tokenizer.json that makes byte pairs of it.
    study_data(const corpus& text, const std::string& byte_pairs)
        : letters_(text, {tokenizer::of(text.training + text.held_out).alphabet(), {}}),
          pairs_(text, {{}, byte_pairs}) {}

    [[nodiscard]] const text_codec& symbols(const job& which) const {
        return is_retrieval(which) ? retrieval_ : text_of(which).codec;
    }
    [[nodiscard]] token_kind kind(const job& which) const {
        return is_retrieval(which) ? token_kind{retrieval_alphabet, {}} : text_of(which).kind;
    }

    /// The tokens without a letter or digit.
    [[nodiscard]] std::vector<token_t> delimiters(const job& which) const {
        const text_codec& codec = symbols(which);
        std::vector<token_t> result;
        for (token_t token = 0; token < codec.size(); ++token) {
            const std::string text = codec.decode(std::span(&token, 1));
            if (std::ranges::none_of(text, [](unsigned char c) { return std::isalnum(c) != 0; })) {
                result.push_back(token);
            }
        }
        return result;
    }

    [[nodiscard]] variant_settings variant(const job& which, const study_size& size) const {
        variant_settings result{
            .shape = size.of(which).shape, .length = size.of(which).length, .block = size.block, .seed = which.seed};
        result.shape.vocabulary = symbols(which).size();
        return result;
    }

    /// The batches of a job. The same text for every variant, and the same masks except in blocks.
    [[nodiscard]] batch_source batches(const job& which, const study_size& size) const {
        const task_size& task = size.of(which);
        const index_t sequences = task.batch;
        const index_t length = task.length;
        const std::uint32_t seed = which.seed;
        const token_t mask = symbols(which).mask();
        const index_t block = in_blocks(which.variant) ? size.block : 0;
        const std::vector<token_t>* const text = is_retrieval(which) ? nullptr : &text_of(which).training;
        return [sequences, length, seed, mask, block, text](index_t step) {
            auto targets = text != nullptr ? random_windows(*text, sequences, length, seed, step)
                                           : retrieval_tokens(sequences, length, seed,
                                                              static_cast<std::uint64_t>(step * sequences));
            return block > 0 ? masked_blocks(targets, sequences, length, block, mask, seed, step)
                             : masked_batch(std::move(targets), sequences, length, mask, seed, step);
        };
    }

    /// What no batch comes from: the end of the text, or sequences of a seed of their own.
    [[nodiscard]] std::vector<token_t> held_out(const job& which, const study_size& size) const {
        const task_size& task = size.of(which);
        return is_retrieval(which) ? retrieval_tokens(task.held_out, task.length, held_out_seed, 0)
                                   : text_of(which).held_out;
    }
    /// Of each of its tokens; empty: one.
    [[nodiscard]] std::span<const index_t> held_out_characters(const job& which) const {
        return is_retrieval(which) ? std::span<const index_t>{} : text_of(which).held_out_characters;
    }

    static constexpr std::uint32_t held_out_seed = 0x68656c64U;

private:
    static bool is_retrieval(const job& which) { return which.task == "retrieval"; }
    [[nodiscard]] const training_text& text_of(const job& which) const {
        return which.task == "byte_pairs" ? pairs_ : letters_;
    }

    training_text letters_;
    training_text pairs_;
    text_codec retrieval_{{retrieval_alphabet, {}}};
};

} // namespace sink_study
