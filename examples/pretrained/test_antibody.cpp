// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "antibody.hpp"
#include "judge.hpp"
#include "test_made_model.hpp"

using namespace pretrained;

TEST_CASE("real antibodies have the frame, and lose it with any of its parts") {
    for (const std::string& whole : real_antibodies) {
        CHECK(has_antibody_frame(whole));
        CHECK(has_antibody_frame(whole.substr(15))); // what is before the first cysteine doesn't matter
        const std::size_t first = whole.find('C');
        for (const std::size_t part : {first, whole.find('W', first), whole.rfind('C'), whole.rfind("WG")}) {
            std::string broken = whole;
            broken[part] = 'A';
            CHECK_FALSE(has_antibody_frame(broken));
        }
        CHECK_FALSE(has_antibody_frame(whole.substr(0, whole.rfind("WG"))));
        CHECK_FALSE(has_antibody_frame(whole.substr(whole.find('W', first))));
    }
    CHECK_FALSE(has_antibody_frame(""));
    CHECK_FALSE(has_antibody_frame(std::string(130, 'C')));
}

TEST_CASE("texts are counted, those like earlier ones too") {
    const antibody_quality quality = quality_of({real_antibodies[0], "AC", real_antibodies[1], "AC"});
    CHECK(quality.texts == 4);
    CHECK(quality.framed == 2);
    CHECK(quality.distinct == 3);
}

TEST_CASE("a judge's loss is that of the tokens that stand for text, whatever the threads") {
    const loaded_model model(made_file(models[2], 6), models[2]);
    const std::vector<std::string> texts = {"ACDEFGHIKLMNPQRSTVWY", "AC", "W"};
    const std::vector<double> alone = judge(model, unmask::cpu_executor{1}).losses(texts, 1);
    CHECK(judge(model, unmask::cpu_executor{2}).losses(texts, 1) == alone);
    CHECK(judge(model, unmask::cpu_executor{1}).losses(texts, 2)[0] != alone[0]);
    for (const double loss : alone) {
        CHECK(loss > 0.0);
        CHECK(loss < 100.0);
    }
    // One hidden letter: the formula, by hand.
    encoder<> network = model.make_encoder();
    const unmask::cpu_executor one{1};
    std::vector<token_t> tokens = model.tokens.encode("W");
    const token_t truth = tokens[1];
    tokens[1] = model.tokens.mask();
    std::vector<float> logits(25);
    network.forward(one, tokens, positions_from_0(3), unmask::bidirectional{});
    network.logits(one, std::vector<index_t>{1}, unmask::view(logits.data(), 1, 25));
    double sum = 0.0;
    for (std::size_t token = 5; token < 25; ++token) {
        sum += std::exp(static_cast<double>(logits[token]));
    }
    CHECK(std::abs(alone[2] - (std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(truth)]))) < 1e-5);
}
