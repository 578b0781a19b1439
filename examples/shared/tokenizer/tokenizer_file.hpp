// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "added_tokens.hpp"
#include "byte_pairs.hpp"
#include "unicode.hpp"
#include "word_splitter.hpp"

namespace dlm {

/// What tokenizer.json says, in the order in which a text meets it.
struct tokenizer_file {
    added_tokens verbatim;                          ///< found in the text as it is
    std::vector<normal_form> forms;                 ///< then applied, one after the other
    added_tokens normalized;                        ///< found in the text after that
    word_splitter splitter;                         ///< cuts the rest into words
    std::unordered_map<std::string, token_t> words; ///< taken whole ("ignore_merges"), or empty
    byte_pairs pairs;                               ///< what becomes of the others
    std::vector<token_t> before;                    ///< the frame of a text
    std::vector<token_t> after;                     ///<
    std::vector<std::optional<std::string>> bytes;  ///< of a token; nothing: there is no such token
    std::unordered_set<token_t> special;            ///< not shown in texts
    std::unordered_map<std::string, token_t> added; ///< by content
};

/// Throws std::runtime_error, with the file and the field, if it can't be read or asks for something else than
/// byte-level byte pairs.
tokenizer_file read_tokenizer_file(const std::string& path);

/// The same of what a file holds, with the name that messages call it by.
tokenizer_file parse_tokenizer_file(const std::string& contents, const std::string& name);

} // namespace dlm
