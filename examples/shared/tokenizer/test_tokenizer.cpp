// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Tokens and texts of the package `tokenizers`, as make_cases.py wrote them into cases/, or into the folder that
// UNMASK_TOKENIZER_CASES names.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tokenizer.hpp"
#include "unicode.hpp"

namespace {

using nlohmann::json;

std::string folder() {
    const char* given = std::getenv("UNMASK_TOKENIZER_CASES");
    return given != nullptr ? given : TOKENIZER_CASES;
}

json read(const std::string& path) {
    std::ifstream stream(path);
    REQUIRE_MESSAGE(stream.good(), path);
    return json::parse(stream);
}

// A file of this process, in the folder for such.
struct scratch_file {
    std::string path =
        (std::filesystem::temp_directory_path() / ("unmask_tokenizer_" + std::to_string(getpid()) + ".json")).string();

    scratch_file() = default;
    ~scratch_file() { std::filesystem::remove(path); }
    scratch_file(const scratch_file&) = delete;
    scratch_file& operator=(const scratch_file&) = delete;
};

const std::string& changed_tokenizer() {
    static const scratch_file file;
    return file.path;
}

// A tokenizer.json in which a pointer's value is replaced, or taken out.
std::string with(const std::string& pointer, const json& value, const std::string& name = "qwen") {
    json root = read(std::string(TOKENIZER_CASES) + "/" + name + ".json");
    root[json::json_pointer(pointer)] = value;
    std::ofstream(changed_tokenizer()) << root;
    return changed_tokenizer();
}

std::string fault_of(const std::string& path) {
    try {
        const dlm::tokenizer made(path);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "none";
}

} // namespace

TEST_CASE("tokens and texts are those of the package tokenizers") {
    for (const std::string name : {"qwen", "llama", "gpt2"}) {
        const dlm::tokenizer tokenizer(folder() + "/" + name + ".json");
        for (const json& each : read(folder() + "/" + name + ".cases.json")) {
            const auto text = each.at("text").get<std::string>();
            INFO(name, ": ", json(text).dump());
            const auto tokens = each.at("tokens").get<std::vector<unmask::token_t>>();
            CHECK(tokenizer.encode(text) == tokens);
            CHECK(tokenizer.encode(text, dlm::frame_tokens::as_trained) ==
                  each.at("framed").get<std::vector<unmask::token_t>>());
            CHECK(tokenizer.decode(tokens) == each.at("plain").get<std::string>());
            CHECK(tokenizer.decode(tokens, true) == each.at("shown").get<std::string>());
            std::vector<unmask::token_t> cut; // whose bytes need not be characters
            for (std::size_t i = 1; i < tokens.size(); i += 2) {
                cut.push_back(tokens[i]);
            }
            CHECK(tokenizer.decode(cut, true) == each.at("cut").get<std::string>());
        }
    }
}

TEST_CASE("a text that needs no normal form comes back") {
    const dlm::tokenizer tokenizer(folder() + "/llama.json");
    std::string text;
    for (char32_t code = 0; code < 0x11'0000; code += code < 0x800 ? 1 : 997) {
        if (code >= 0xd800 && code < 0xe000) {
            continue;
        }
        if (code < 0x80) {
            text += static_cast<char>(code);
        } else {
            const int rest = code < 0x800 ? 1 : code < 0x1'0000 ? 2 : 3;
            text += static_cast<char>((0xff00U >> (rest + 1) & 0xffU) | code >> 6 * rest);
            for (int i = rest; i-- > 0;) {
                text += static_cast<char>(0x80U | (code >> 6 * i & 0x3fU));
            }
        }
    }
    REQUIRE(!dlm::first_bad_byte(text));
    CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
}

TEST_CASE("long words cost no more than n log n") { // hours if they did
    const dlm::tokenizer tokenizer(folder() + "/qwen.json");
    const std::string text(2'000'000, 't');
    CHECK(tokenizer.decode(tokenizer.encode(text)) == text);
    CHECK(tokenizer.encode(std::string(2'000'000, ' ')).size() > 0);
}

TEST_CASE("what is not UTF-8 is refused, with the place") {
    const dlm::tokenizer tokenizer(folder() + "/qwen.json");
    for (const std::string bad :
         {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5", "\xe4\xbd", "\xff"}) {
        CHECK_THROWS_WITH_AS(static_cast<void>(tokenizer.encode("ab" + bad)),
                             "tokenizer::encode: byte 2 of the text begins no character, expected UTF-8",
                             std::invalid_argument);
    }
    CHECK(dlm::lossy_utf8("a\xe4\xbd"
                          "b\xf0\x9f\x98\xff\xc0\xaf") == "a\ufffdb\ufffd\ufffd\ufffd\ufffd");
    CHECK(tokenizer.decode(std::vector<unmask::token_t>{64, 100'000, -1, 65}) == "a\ufffd\ufffdb");
}

TEST_CASE("added tokens are known by their content") {
    const dlm::tokenizer tokenizer(folder() + "/qwen.json");
    CHECK(tokenizer.added("<|mask|>") == 563);
    CHECK(!tokenizer.added("mask"));
    CHECK(tokenizer.size() == 566);
}

TEST_CASE("what a file asks for and isn't there is refused, with its name") {
    const std::string file = changed_tokenizer() + ": ";
    CHECK(fault_of("none.json") == "none.json: can't be opened");
    CHECK(fault_of(with("/model/type", "Unigram")) == file + "model.type is 'Unigram', expected BPE");
    CHECK(fault_of(with("/normalizer", {{"type", "Lowercase"}})) ==
          file + "normalizer.type is 'Lowercase', expected NFC, NFD, NFKC, NFKD or Sequence");
    CHECK(fault_of(with("/pre_tokenizer", {{"type", "Metaspace"}})) ==
          file + "pre_tokenizer.type is 'Metaspace', expected Sequence, Split, Digits, Punctuation or ByteLevel");
    CHECK(fault_of(with("/pre_tokenizer", nullptr)).find("pre_tokenizer") != std::string::npos);
    CHECK(fault_of(with("/pre_tokenizer/pretokenizers/2", {{"type", "Digits"}})) ==
          file + "pre_tokenizer.pretokenizers is 'Digits' after ByteLevel, expected ByteLevel as the last");
    CHECK(fault_of(with("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(a")).find("no regular expression") !=
          std::string::npos);
    CHECK(fault_of(with("/pre_tokenizer/pretokenizers/0/behavior", "Glued")).find(".behavior is 'Glued'") !=
          std::string::npos);
    CHECK(fault_of(with("/decoder", {{"type", "WordPiece"}})) ==
          file + "decoder.type is 'WordPiece', expected ByteLevel");
    CHECK(fault_of(with("/post_processor", {{"type", "BertProcessing"}}))
              .find("post_processor.type is 'BertProcessing'") != std::string::npos);
    CHECK(fault_of(with("/model/dropout", 0.1)).find("model.dropout") != std::string::npos);
    CHECK(fault_of(with("/model/merges/0", "a b c")).find("model.merges") != std::string::npos);
    CHECK(fault_of(with("/model/merges/0", json::array({"t", "\u0107\u0107"}))).find("model.merges") !=
          std::string::npos);
    CHECK(fault_of(with("/model/vocab/xyzzy", -1)).find("the id of 'xyzzy'") != std::string::npos);
    CHECK(fault_of(with("/model/vocab", json::object())).find("without byte 0") != std::string::npos);
    CHECK(fault_of(with("/added_tokens/0/id", "one")) != "none");
    std::ofstream(changed_tokenizer()) << "[1, 2";
    CHECK(fault_of(changed_tokenizer()).find(file) == 0);
}
