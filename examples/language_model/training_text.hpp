// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector>

#include "corpus.hpp"
#include "text_codec.hpp"
#include "token_kind.hpp"

namespace language_model {

/// What a run learns from, and is measured on.
struct training_text {
    token_kind kind;
    text_codec codec;
    std::vector<token_t> training;
    std::vector<token_t> held_out;
    std::vector<index_t> held_out_characters; ///< of each token

    training_text(const corpus& text, const token_kind& of)
        : kind(of), codec(of), training(codec.encode(text.training)), held_out(codec.encode(text.held_out)),
          held_out_characters(codec.lengths(held_out)) {}
};

} // namespace language_model
