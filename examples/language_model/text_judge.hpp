// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "estimate.hpp"
#include "ngram.hpp"
#include "tokenizer.hpp"
#include "words.hpp"

namespace language_model {

/// How good texts are, of one size: none of the three says it alone. Text that repeats itself is easy to predict and
/// made of known words; text of random words is distinct.
struct text_quality {
    examples::estimate bits; ///< that the judge needs for a character: the mean over texts. That of real text is best.
    double known = 0.0;      ///< share of words that occur in the training text
    double distinct = 0.0;   ///< share of runs of four words that come once
};

/// Judges what a model writes without it: by counts of characters, and the words, of the text that it was trained on.
class text_judge {
public:
    /// The judge predicts a character from the five before it: see ngram_models.
    static constexpr int order = 6;

    /// Throws std::invalid_argument if the text has characters that are not plain: see tokenizer.
    explicit text_judge(std::string_view training)
        : characters_(tokenizer::of(training)), words_(vocabulary_of(training)),
          models_(characters_.encode(training), characters_.size() + 1, order) {}

    /// What each character of a text takes, in bits, given those before it. All characters that the training text does
    /// not have are one, which it never saw.
    [[nodiscard]] double bits_per_character(std::string_view text) const {
        std::vector<token_t> tokens;
        for (const char character : text) {
            tokens.push_back(characters_.knows(character) ? characters_.encode({&character, 1})[0]
                                                          : characters_.size());
        }
        return models_.bits_per_token(order, tokens);
    }

    [[nodiscard]] text_quality quality_of(std::span<const std::string> texts) const {
        std::vector<double> bits;
        for (const std::string& text : texts) {
            bits.push_back(bits_per_character(text));
        }
        return {examples::estimate_of(bits), count_known_words(texts, words_).share(), distinct_share(texts, 4)};
    }

private:
    tokenizer characters_;
    std::set<std::string> words_;
    ngram_models models_;
};

} // namespace language_model
