// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Model and sampler on the GPU write what those on the CPU write.

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/generate_on_gpu.hpp"
#include "page.hpp"
#include "preset_by_name.hpp"
#include "test_models.hpp"
#include "trained_model.hpp"

using namespace language_model;

namespace {

// A text for the test models, with some of it left open.
std::vector<token_t> text_to_fill(const text_codec& codec) {
    return parse_template(codec, "ab cd___ef gh\nabc___ fed a_b", "--infill");
}

sampling_choice choice_of(std::string_view preset, double temperature) {
    sampling_choice choice;
    choice.preset = preset;
    choice.temperature = temperature;
    choice.masked = 7;
    return choice;
}

std::vector<std::vector<token_t>> texts_of_cpu(const safetensors_file& file, const sampling_choice& choice,
                                               const std::vector<token_t>& text, index_t samples, std::uint64_t seed) {
    const unmask::cpu_executor exec{1};
    language_model_denoiser model(file, exec);
    unmask::canvas page(model.vocabulary());
    for (index_t i = 0; i < samples; ++i) {
        page.add_infill(text);
    }
    make_sampler(choice, exec, model, file)(page, seed, [](const auto&) { return true; });
    std::vector<std::vector<token_t>> texts;
    for (index_t sequence = 0; sequence < samples; ++sequence) {
        texts.emplace_back(page.tokens(sequence).begin(), page.tokens(sequence).end());
    }
    return texts;
}

std::string complaint(const sampling_choice& choice) {
    try {
        check_on_gpu(choice);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "";
}

} // namespace

// Logits differ in their last bits, which changes no token here.
TEST_CASE("in float the texts are those of the CPU, with every preset") {
    const safetensors_file file = random_model("token");
    const std::vector<token_t> text = text_to_fill(text_codec({test_alphabet, {}}));
    for (const std::string_view preset : gpu_presets) {
        CAPTURE(preset);
        const sampling_choice choice = choice_of(preset, 0.9);
        const gpu_texts found = generate_on_gpu(trained_model_of(file), choice, text, 2, 5, precision::float32);
        CHECK(found.texts == texts_of_cpu(file, choice, text, 2, 5));
        CHECK(found.texts[0] != found.texts[1]);
        CHECK(found.committed == 14);
        CHECK(found.calls >= 1);
    }
}

TEST_CASE("every sink writes the CPU's text in float, and a text in bfloat16") {
    for (const std::string_view sink : sink_names) {
        CAPTURE(sink);
        const safetensors_file file = random_model(std::string(sink));
        const std::vector<token_t> text = text_to_fill(text_codec({test_alphabet, {}}));
        const sampling_choice choice = choice_of("fast_dllm", 0.0);
        CHECK(generate_on_gpu(trained_model_of(file), choice, text, 1, 3, precision::float32).texts ==
              texts_of_cpu(file, choice, text, 1, 3));
        const auto rounded = generate_on_gpu(trained_model_of(file), choice, text, 1, 3, precision::bfloat16).texts[0];
        REQUIRE(rounded.size() == text.size());
        for (std::size_t i = 0; i < text.size(); ++i) {
            CHECK((text[i] == unmask::blank ? rounded[i] >= 0 && rounded[i] < 10 : rounded[i] == text[i]));
        }
    }
}

TEST_CASE("what the GPU does not do is refused by name") {
    const std::string presets = "expected llada, dream, fast_dllm, fast_dllm_factor, dinfer_hierarchy, sdar, llada2, "
                                "klass, eb or mdlm on the GPU";
    for (const char* preset : {"wino", "remdm", "llada21", "dinfer_credit", "e"}) {
        CHECK(complaint(choice_of(preset, 0.0)) == "--preset is '" + std::string(preset) + "', " + presets);
    }
    sampling_choice choice = choice_of("llada", 0.0);
    CHECK(complaint(choice).empty());
    choice.cache = "dual";
    CHECK(complaint(choice) == "--cache is 'dual', expected none on the GPU");
    choice.cache = "none";
    choice.guidance = 1.0;
    CHECK(complaint(choice) == "--guidance is '1.000000', expected 0 on the GPU");
}
