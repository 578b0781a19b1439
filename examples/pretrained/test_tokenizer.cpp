// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/sampler/canvas.hpp>

#include "tokenizer.hpp"

using namespace pretrained;

namespace {

tokenizer with_tokens(const std::string& tokens, const char* model) {
    unmask::safetensors_file file;
    file.metadata["tokens"] = tokens;
    return {file, model_of_name(model)};
}

std::vector<std::string> cut(std::string_view text) {
    std::vector<std::string> tokens;
    while (!text.empty()) {
        tokens.emplace_back(first_smiles_token(text));
        if (tokens.back().empty()) {
            break;
        }
        text.remove_prefix(tokens.back().size());
    }
    return tokens;
}

} // namespace

TEST_CASE("letters, the frame, and what is hidden or unknown") {
    const tokenizer tokens = with_tokens("<s>\n<pad>\n</s>\n<unk>\nA\nC\n<mask>", "sapiens_heavy");
    CHECK(tokens.size() == 7);
    CHECK(tokens.mask() == 6);
    CHECK(tokens.encode("") == std::vector<token_t>{0, 2});
    CHECK(tokens.encode("A__CX") == std::vector<token_t>{0, 4, unmask::blank, unmask::blank, 5, 3, 2});
    CHECK(tokens.decode(std::vector<token_t>{0, 4, 6, unmask::blank, 5, 2}) == "A__C");
    CHECK(tokens.special() == std::vector<token_t>{0, 1, 2, 3, 6});
}

TEST_CASE("molecules") {
    CHECK(cut("C[C@@H](Br)Cl") == std::vector<std::string>{"C", "[C@@H]", "(", "Br", ")", "Cl"});
    CHECK(cut("c1%12>>B>C") == std::vector<std::string>{"c", "1", "%12", ">>", "B", ">", "C"});
    CHECK(cut("F/C=C\\I.[Na+]") == std::vector<std::string>{"F", "/", "C", "=", "C", "\\", "I", ".", "[Na+]"});
    for (const char* other : {"X", "[]", "[C", "%1", "%a1", "r", " ", "\n"}) {
        CHECK(cut(other) == std::vector<std::string>{""});
    }
    const tokenizer tokens = with_tokens("[PAD]\n[unused1]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nC\nN", "rxnmapper");
    CHECK(tokens.encode("C_N[Na+]") == std::vector<token_t>{3, 6, unmask::blank, 7, 2, 4});
    CHECK(tokens.special() == std::vector<token_t>{0, 1, 2, 3, 4, 5});
    CHECK_THROWS_WITH_AS((void)tokens.encode("CZ"), "the text goes on with 'Z', expected SMILES",
                         std::invalid_argument);
}

TEST_CASE("pieces of words") {
    CHECK(words_of("Don't  STOP\tnow \u2014 \u00e9t\u00e9.") ==
          std::vector<std::string>{"don", "'", "t", "stop", "now", "\u2014", "\u00e9t\u00e9", "."});
    const std::set<std::string> known = {"un", "##mask", "##ing", "a", "##b"};
    const auto pieces = [&](const char* text) {
        return word_pieces(text, [&](const std::string& piece) { return known.contains(piece); });
    };
    CHECK(pieces("unmasking a") == std::vector<std::string>{"un", "##mask", "##ing", "a"});
    CHECK(pieces("abc ab") == std::vector<std::string>{"[UNK]", "a", "##b"});
    CHECK(pieces("").empty());
    const tokenizer tokens = with_tokens("[CLS]\n[SEP]\n[MASK]\n[UNK]\nun\n##mask\na", "minilm");
    CHECK(tokens.decode(tokens.encode("Unmask a _")) == "unmask a_");
    CHECK(tokens.encode("x unmask") == std::vector<token_t>{0, 3, 4, 5, 1});
}

TEST_CASE("names of models") {
    CHECK(model_of_name("minilm").heads == 12);
    CHECK_THROWS_WITH_AS((void)model_of_name("gpt"),
                         "--model is 'gpt', expected sapiens_heavy, sapiens_light, antiberty, rxnmapper or minilm",
                         std::invalid_argument);
}
