// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Text to tokens and back, with the byte pairs of the King James Bible; a model of them in a file, and its bound.

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "corpus.hpp"
#include "evaluate.hpp"
#include "page.hpp"
#include "text_codec.hpp"

using namespace language_model;

namespace {
const token_kind& byte_pairs() {
    static const token_kind kind{{}, contents_of(KING_JAMES_TOKENIZER)};
    return kind;
}
const std::string verse = "And God said, Let there be light: and there was light.\nJesus wept.\n";
} // namespace

TEST_CASE("byte pairs: a text comes back, in fewer tokens than characters") {
    const text_codec codec(byte_pairs());
    CHECK(codec.has_byte_pairs());
    CHECK(codec.size() == 2048);
    CHECK(codec.mask() == 2048);
    for (const std::string& text : {verse, std::string(), std::string("\n"), std::string("  été ~ 日本\t{}")}) {
        CHECK(codec.decode(codec.encode(text)) == text);
    }
    std::vector<token_t> tokens = codec.encode(verse);
    CHECK(3 * tokens.size() <= verse.size());
    const std::vector<index_t> lengths = codec.lengths(tokens);
    CHECK(std::accumulate(lengths.begin(), lengths.end(), index_t{0}) == std::ssize(verse));
    tokens[1] = codec.mask();
    CHECK(codec.decode(tokens) == "And_ said, Let there be light: and there was light.\nJesus wept.\n");
    CHECK_THROWS_WITH_AS(static_cast<void>(codec.encode("a\xff", "--prompt")),
                         "--prompt: tokenizer::encode: byte 1 of the text begins no character, expected UTF-8",
                         std::invalid_argument);
}

TEST_CASE("no token of a file makes a terminal obey") {
    const text_codec codec(byte_pairs());
    CHECK(codec.decode(codec.encode("a\x1b[2Jb\x07")) == "a_[2Jb_");
    CHECK(codec.decode(codec.encode("a\u009b2J")) == "a__2J"); // a control character of Latin-1, of two bytes
}

TEST_CASE("a blank of byte pairs brings the space before it") {
    const text_codec codec(byte_pairs());
    const std::vector<token_t> tokens = parse_template(codec, "In the __ God created");
    std::vector<token_t> expected = codec.encode("In the");
    expected.insert(expected.end(), 2, unmask::blank);
    const std::vector<token_t> rest = codec.encode(" God created");
    expected.insert(expected.end(), rest.begin(), rest.end());
    CHECK(tokens == expected);
}

TEST_CASE("a file says what its tokens are") {
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_byte_pairs.safetensors").string();
    const model_card card{.shape = {.vocabulary = 2048, .width = 8, .layers = 1, .heads = 2, .ffn = 6},
                          .tokens = byte_pairs(),
                          .sink = "key_value",
                          .length = 16,
                          .step = 3};
    write_safetensors(path, {}, to_metadata(card));
    const model_card found = card_of(read_safetensors(path));
    std::filesystem::remove(path);
    CHECK(found.tokens == card.tokens);
    CHECK(found.shape == card.shape);
    safetensors_file file{.name = "f", .metadata = to_metadata(card), .tensors = {}};
    file.metadata["vocabulary"] = "0";
    CHECK_THROWS_AS(card_of(file), file_error);
}

TEST_CASE("bits of a token become bits of a character by the characters that the windows have") {
    const std::vector<token_t> text = {0, 1, 2, 3, 0, 1, 2, 3};
    const std::vector<index_t> characters = {1, 2, 3, 4, 5, 5, 5, 5};
    const bound_windows windows(text, 4, {.length = 4, .draws = 2, .characters = characters});
    REQUIRE(windows.count() == 2);
    const double bit = 2.0 * 4.0 * std::log(2.0); // of two draws
    const bound result = windows.of({bit, 3.0 * bit});
    CHECK(result.bits == doctest::Approx((4.0 + 12.0) / (2.5 + 5.0)));
    CHECK(result.windows == 2);
    CHECK(bound_windows(text, 4, {.length = 4, .draws = 2}).of({bit, 3.0 * bit}).bits == doctest::Approx(8.0));
}
