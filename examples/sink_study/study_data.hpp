// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "block_batch.hpp"
#include "corpus.hpp"
#include "retrieval.hpp"
#include "study_size.hpp"
#include "tokenizer.hpp"

namespace sink_study {

/// What the models of both tasks learn from and are evaluated on. Retrieval needs no data: its sequences are drawn.
class study_data {
public:
    explicit study_data(const corpus& text)
        : letters_(tokenizer::of(text.training + text.held_out)), training_(letters_.encode(text.training)),
          held_out_(letters_.encode(text.held_out)) {}

    [[nodiscard]] const tokenizer& symbols(const job& which) const {
        return which.task == "text" ? letters_ : retrieval_;
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
        const bool text = which.task == "text";
        return [this, sequences, length, seed, mask, block, text](index_t step) {
            auto targets =
                text ? random_windows(training_, sequences, length, seed, step)
                     : retrieval_tokens(sequences, length, seed, static_cast<std::uint64_t>(step * sequences));
            return block > 0 ? masked_blocks(targets, sequences, length, block, mask, seed, step)
                             : masked_batch(std::move(targets), sequences, length, mask, seed, step);
        };
    }

    /// What no batch comes from: the end of the text, or sequences of a seed of their own.
    [[nodiscard]] std::vector<token_t> held_out(const job& which, const study_size& size) const {
        const task_size& task = size.of(which);
        return which.task == "text" ? held_out_ : retrieval_tokens(task.held_out, task.length, held_out_seed, 0);
    }

    static constexpr std::uint32_t held_out_seed = 0x68656c64U;

private:
    tokenizer letters_;
    tokenizer retrieval_{retrieval_alphabet};
    std::vector<token_t> training_;
    std::vector<token_t> held_out_;
};

} // namespace sink_study
