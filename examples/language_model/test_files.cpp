// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What is read and written: text, tokens, tensors, options.

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "command_line.hpp"
#include "corpus.hpp"
#include "layers.hpp"
#include "safetensors.hpp"
#include "tokenizer.hpp"

using namespace language_model;

namespace {
std::string temporary(const char* name) {
    return (std::filesystem::temp_directory_path() / name).string();
}
} // namespace

TEST_CASE("text becomes tokens and text again") {
    const std::string verse = "Jesus wept.\n";
    const tokenizer letters = tokenizer::of(verse);
    CHECK(letters.alphabet() == "\n .Jepstuw");
    CHECK(letters.size() == 10);
    CHECK(letters.mask() == 10);
    std::vector<token_t> tokens = letters.encode(verse);
    CHECK(letters.decode(tokens) == verse);
    tokens[0] = letters.mask();
    CHECK(letters.decode(tokens) == "_esus wept.\n");
    CHECK(letters.knows('J'));
    CHECK_FALSE(letters.knows('j'));
    CHECK_THROWS_AS((void)letters.encode("John"), std::invalid_argument);
    CHECK_THROWS_AS(tokenizer("abca"), std::invalid_argument);
}

TEST_CASE("a verse loses its reference and nothing else") {
    CHECK(without_reference("Ge1:1 In the beginning") == "In the beginning");
    CHECK(without_reference("1Jo5:7 For there are three") == "For there are three");
    CHECK(without_reference("And he said: 12 are here") == "And he said: 12 are here");
    CHECK(without_reference("Note: see above") == "Note: see above");
    CHECK(without_reference("1:2") == "1:2");
    CHECK(without_reference("").empty());
}

TEST_CASE("the last twentieth of the lines is held out") {
    std::string text;
    for (int line = 0; line < 100; ++line) {
        text += "Ps1:" + std::to_string(line) + " line " + std::to_string(line) + "\n";
    }
    const corpus parts = split(text);
    CHECK(parts.training.starts_with("line 0\nline 1\n"));
    CHECK(parts.training.ends_with("line 94\n"));
    CHECK(parts.held_out == "line 95\nline 96\nline 97\nline 98\nline 99\n");
}

TEST_CASE("tensors survive a file, rounded to 16 bits if asked") {
    const std::string path = temporary("unmask_test.safetensors");
    const std::vector<float> weights = {1.0F, -0.1F, 3.14159274F, 1e-30F, -65504.0F, 0.0F};
    const std::vector<float> one = {42.0F};
    const std::map<std::string, std::string> metadata = {{"alphabet", "\n \"\\a"}, {"step", "7"}};
    for (const number_format format : {number_format::float32, number_format::bfloat16}) {
        write_safetensors(path, {{"weights", {2, 3}, weights}, {"one", {1}, one}}, metadata, format);
        const safetensors_file file = read_safetensors(path);
        CHECK(file.metadata == metadata);
        CHECK(file.tensors.size() == 2);
        CHECK(file.tensors.at("weights").shape == std::vector<index_t>{2, 3});
        CHECK(file.tensors.at("one").values == one);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const float read = file.tensors.at("weights").values[i];
            CHECK(read == (format == number_format::float32 ? weights[i] : unmask::bfloat16(weights[i])));
        }
    }
    const auto size = std::filesystem::file_size(path);
    std::filesystem::resize_file(path, size - 1);
    CHECK_THROWS_AS(read_safetensors(path), std::runtime_error);
    std::filesystem::resize_file(path, 20);
    CHECK_THROWS_AS(read_safetensors(path), std::runtime_error);
    std::filesystem::remove(path);
    CHECK_THROWS_AS(read_safetensors(path), std::runtime_error);
}

TEST_CASE("options are read, and unknown ones refused") {
    std::vector<std::string> words = {"train", "--steps", "20", "--rate", "-1e-3", "--quiet", "--name", "x"};
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    command_line options(static_cast<int>(pointers.size()), pointers.data());
    CHECK(options.integer("steps", 1) == 20);
    CHECK(options.integer("batch", 16) == 16);
    CHECK(options.number("rate", 0.0) == -1e-3);
    CHECK(options.flag("quiet"));
    CHECK_FALSE(options.flag("loud"));
    CHECK_THROWS_AS(options.finish(), std::invalid_argument); // nobody asked for --name
    CHECK_THROWS_AS(options.integer("name", 0), std::invalid_argument);
    CHECK_THROWS_AS(options.text("quiet", ""), std::invalid_argument);
    CHECK(options.text("name", "") == "x");
    CHECK_NOTHROW(options.finish());
}

TEST_CASE("fast_exp agrees with std::exp") {
    double worst = 0.0;
    for (int i = -8700; i <= 8700; ++i) {
        const float x = static_cast<float>(i) * 0.01F;
        const double exact = std::exp(static_cast<double>(x));
        worst = std::max(worst, std::abs(static_cast<double>(fast_exp(x)) - exact) / exact);
    }
    CHECK(worst < 6e-6); // x · log2(e) is rounded to float: up to 2^-24 · 126 · ln(2) of it
    CHECK(fast_exp(0.0F) == 1.0F);
    CHECK(fast_exp(-1000.0F) < 1e-37F);
}
