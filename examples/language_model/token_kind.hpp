// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>

namespace language_model {

/// How a model reads and writes: an alphabet, one token a character, or the tokenizer.json of byte pairs. One of the
/// two is empty.
struct token_kind {
    std::string alphabet;
    std::string byte_pairs;

    friend bool operator==(const token_kind&, const token_kind&) = default;
};

} // namespace language_model
