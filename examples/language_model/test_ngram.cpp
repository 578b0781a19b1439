// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What a model is compared with: character n-grams, and the words of the training text.

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "ngram.hpp"
#include "text_judge.hpp"
#include "tokenizer.hpp"
#include "words.hpp"

using namespace language_model;

TEST_CASE("n-gram probabilities are those worked out by hand") {
    const std::vector<token_t> text = {0, 0, 1}; // "aab", in an alphabet of a, b and c
    const ngram_models models(text, 3, 2);
    const std::vector<token_t> nothing;
    const std::vector<token_t> after_a = {0};
    const std::vector<token_t> after_b = {1};
    // a comes twice, b once, two different ones: (times + 2 · 1/3) / (3 + 2)
    CHECK(models.probability(1, nothing, 0) == doctest::Approx(8.0 / 15.0));
    CHECK(models.probability(1, nothing, 1) == doctest::Approx(5.0 / 15.0));
    CHECK(models.probability(1, nothing, 2) == doctest::Approx(2.0 / 15.0));
    // After a come a and b, once each: (1 + 2 · 5/15) / (2 + 2)
    CHECK(models.probability(2, after_a, 1) == doctest::Approx(5.0 / 12.0));
    CHECK(models.probability(2, after_a, 2) == doctest::Approx(1.0 / 15.0));
    CHECK(models.probability(1, after_a, 1) == doctest::Approx(5.0 / 15.0)); // order 1 has no context
    CHECK(models.probability(2, nothing, 1) == doctest::Approx(5.0 / 15.0)); // neither has the first token
    CHECK(models.probability(2, after_b, 1) == doctest::Approx(5.0 / 15.0)); // nothing was seen after b

    const double by_hand = -(std::log2(8.0 / 15.0) + std::log2(5.0 / 12.0)) / 2.0;
    CHECK(models.bits_per_token(2, std::vector<token_t>{0, 1}) == doctest::Approx(by_hand));
}

TEST_CASE("the probabilities of every order sum to 1 after every context") {
    const std::string verse = "And the earth was without form, and void; and darkness was upon the face of the deep.";
    const tokenizer letters = tokenizer::of(verse);
    const auto text = letters.encode(verse);
    const ngram_models models(text, letters.size(), 6);
    CHECK(models.largest_order() == 6);
    for (const char* context : {"", "d", "th", "the e", "zzz", "and dark", " was wi", "deep.deep"}) {
        std::vector<token_t> tokens;
        for (const char character : std::string(context)) {
            tokens.push_back(letters.knows(character) ? letters.encode(std::string(1, character))[0] : 0);
        }
        for (int order = 1; order <= 6; ++order) {
            CAPTURE(context);
            CAPTURE(order);
            double sum = 0.0;
            for (token_t token = 0; token < letters.size(); ++token) {
                const double p = models.probability(order, tokens, token);
                CHECK(p > 0.0);
                sum += p;
            }
            CHECK(sum == doctest::Approx(1.0).epsilon(1e-12));
        }
    }
    // On the text they were counted on, longer contexts can only help.
    for (int order = 2; order <= 6; ++order) {
        CHECK(models.bits_per_token(order, text) < models.bits_per_token(order - 1, text));
    }
}

TEST_CASE("n-grams that don't fit are refused") {
    const std::vector<token_t> text = {0, 1};
    CHECK_THROWS_AS(ngram_models(text, 2, 0), std::invalid_argument);
    CHECK_THROWS_AS(ngram_models(text, 0, 2), std::invalid_argument);
    CHECK_THROWS_AS(ngram_models(text, 256, 8), std::invalid_argument);
    CHECK_NOTHROW(ngram_models(text, 256, 7));
}

TEST_CASE("words are runs of letters, as they are written") {
    CHECK(words_of("In the beginning, God's 12x earth\nWas") ==
          std::vector<std::string>{"In", "the", "beginning", "God", "s", "x", "earth", "Was"});
    CHECK(words_of(" ,.;\n").empty());
    CHECK(vocabulary_of("the cat, The cat") == std::set<std::string>{"The", "cat", "the"});
}

TEST_CASE("known words are counted, the first and the last of a sample left out") {
    const auto vocabulary = vocabulary_of("and the evening and the morning were the first day");
    const std::vector<std::string> samples = {"zzz the qqq day zzz", "the the", "the day the", "", "morning"};
    const word_count count = count_known_words(samples, vocabulary);
    CHECK(count.words == 4);
    CHECK(count.known == 3);
    CHECK(count.share() == doctest::Approx(0.75));
    CHECK(word_count{}.share() == 0.0);
}

TEST_CASE("runs of words are counted once, and not across samples") {
    CHECK(distinct_share(std::vector<std::string>{"a b c d e"}, 4) == 1.0);
    CHECK(distinct_share(std::vector<std::string>{"a b a b a b"}, 2) == doctest::Approx(2.0 / 5.0));
    CHECK(distinct_share(std::vector<std::string>{"a b, c", "a b; d"}, 2) == doctest::Approx(3.0 / 4.0));
    CHECK(distinct_share(std::vector<std::string>{"a b", "c d"}, 3) == 0.0); // none
}

TEST_CASE("a judge finds its own text easy, other text hard, and repetition out") {
    const std::string verses = "And the evening and the morning were the first day. And God said, Let there be light: "
                               "and there was light. And God called the light Day, and the darkness he called Night.";
    const text_judge judge(verses);
    const double own = judge.bits_per_character("And God called the evening Night.");
    const double shuffled = judge.bits_per_character("ghe tindoA N celvhtdina.ge del g");
    CHECK(own < 1.0);
    CHECK(shuffled > 4.0);
    // A character that the text does not have is one more, as rare as can be, and no error.
    CHECK(judge.bits_per_character("light \xe2\x82\xac#") > judge.bits_per_character("light day"));

    const std::vector<std::string> good = {
        "And God said, Let there be light: and the evening and the morning were the day",
        "And God called the darkness Night, and he called the light the first Day."};
    const std::vector<std::string> repeated = {"and the and the and the and the and the and the", good[1]};
    const text_quality of_good = judge.quality_of(good);
    CHECK(of_good.known == 1.0);
    CHECK(of_good.distinct == 1.0);
    CHECK(of_good.bits.mean ==
          doctest::Approx((judge.bits_per_character(good[0]) + judge.bits_per_character(good[1])) / 2.0));
    CHECK(of_good.bits.error > 0.0);
    CHECK(judge.quality_of(repeated).distinct < 0.8);
}
