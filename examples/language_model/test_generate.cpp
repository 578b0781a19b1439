// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// From a checkpoint to text: templates, the model behind the sampler's interface, what a terminal shows.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/sampler/sampler.hpp>

#include "denoiser.hpp"
#include "page.hpp"
#include "terminal_view.hpp"
#include "test_models.hpp"

using namespace language_model;

TEST_CASE("underscores of a template are to be filled in, the rest is given") {
    const text_codec letters({test_alphabet, {}});
    CHECK(parse_template(letters, "a_b\n__") ==
          std::vector<token_t>{2, unmask::blank, 3, 0, unmask::blank, unmask::blank});
    CHECK(parse_template(letters, "").empty());
    CHECK(parse_template(letters, "_a") == std::vector<token_t>{unmask::blank, 2});
    CHECK_THROWS_AS((void)parse_template(letters, "a_Z"), std::invalid_argument);
}

TEST_CASE("the denoiser writes the rows asked for, and needs no others") {
    static_assert(unmask::denoiser<language_model_denoiser>);
    for (const char* sink : {"none", "token", "key_value"}) {
        CAPTURE(sink);
        const safetensors_file file = random_model(sink);
        language_model_denoiser model(file, unmask::cpu_executor{2});
        CHECK(model.vocabulary().size == 10);
        CHECK(model.vocabulary().mask == 10);

        // Four sequences of different lengths, masks in all of them.
        unmask::canvas page(model.vocabulary());
        const std::vector<std::string> texts = {"abc___ def_h", "_", "__h g_f e_d\ncba__", "ab ab __ ab_ab_ _b"};
        for (const std::string& text : texts) {
            page.add_infill(parse_template(model.codec(), text));
        }
        const std::vector<unmask::row> all = all_rows(page);
        const std::vector<float> expected = logits_of(model, page, all, 0);
        CHECK(std::all_of(expected.begin(), expected.end(), [](float x) { return std::isfinite(x); }));

        // Some rows, one of them twice.
        const std::vector<unmask::row> some = {{0, 3}, {0, 10}, {2, 0}, {2, 0}, {2, 16}, {3, 17}};
        const std::vector<float> few = logits_of(model, page, some, 0);
        for (std::size_t i = 0; i < some.size(); ++i) {
            const auto same = static_cast<std::size_t>(std::find(all.begin(), all.end(), some[i]) - all.begin());
            CHECK(largest_difference(&few[i * 10], &expected[same * 10], 10) == 0.0);
        }

        // Each sequence alone.
        std::size_t row = 0;
        for (const std::string& text : texts) {
            unmask::canvas alone(model.vocabulary());
            alone.add_infill(parse_template(model.codec(), text));
            const std::vector<float> logits = logits_of(model, alone, all_rows(alone), 0);
            CHECK(largest_difference(logits.data(), &expected[row * 10], logits.size()) == 0.0);
            row += text.size();
        }
        // A check that could pass for any model would say nothing: other text, other logits.
        CHECK(largest_difference(&expected[0], &expected[10], 10) > 1e-3);
    }
}

TEST_CASE("a text is the same alone and in a batch, with one thread and with two") {
    const safetensors_file file = random_model("token");
    const unmask::sampler sampler{unmask::steps{8}, unmask::categorical{.temperature = 1.0}};
    std::vector<std::string> texts;
    for (const int threads : {1, 2}) {
        const unmask::cpu_executor exec{threads};
        language_model_denoiser model(file, exec);
        unmask::canvas batch(model.vocabulary());
        for (int i = 0; i < 3; ++i) {
            batch.add_infill(parse_template(model.codec(), "ab ____________ fe"));
        }
        sampler(exec, model, batch, 5);
        unmask::canvas alone(model.vocabulary());
        alone.add_infill(parse_template(model.codec(), "ab ____________ fe"), 1);
        sampler(exec, model, alone, 5);
        CHECK(batch.masked() == 0);
        CHECK(text_of(batch, 0, model.codec()) != text_of(batch, 1, model.codec()));
        texts.push_back(text_of(batch, 1, model.codec()));
        texts.push_back(text_of(alone, 0, model.codec()));
    }
    for (const std::string& text : texts) {
        CHECK(text == texts.front());
        CHECK(text.starts_with("ab "));
        CHECK(text.ends_with(" fe"));
        CHECK(text.find('_') == std::string::npos);
    }
}

TEST_CASE("a text longer than the model was trained on is refused") {
    language_model_denoiser model(random_model("token"), unmask::cpu_executor{1});
    unmask::canvas page(model.vocabulary());
    page.add({}, 40);
    CHECK_NOTHROW(logits_of(model, page, {{0, 39}}, 0));
    page.add({}, 41);
    std::string message;
    try {
        logits_of(model, page, {{1, 0}}, 0);
    } catch (const unmask::invalid_argument& error) {
        message = error.what();
    }
    CHECK(message.find("is 41, expected at most 40") != std::string::npos);
}

TEST_CASE("a file that allows longer or larger models than there are is refused") {
    for (const char* key : {"length", "layers", "width"}) {
        for (const char* was : {"9223372036854775807", "4611686018427387904", "100000000000", "-1", "256abc"}) {
            safetensors_file file = random_model("token");
            file.metadata[key] = was;
            CHECK_THROWS_AS(language_model_denoiser(file, unmask::cpu_executor{1}), file_error);
        }
    }
    safetensors_file file = random_model("token");
    file.metadata["length"] = std::to_string(most_length);
    CHECK(language_model_denoiser(file, unmask::cpu_executor{1}).longest() == most_length);
}

TEST_CASE("every sink that a file may name is a model") {
    for (const std::string_view name : sink_names) {
        CHECK_NOTHROW(language_model_denoiser(random_model(std::string(name)), unmask::cpu_executor{1}));
    }
}

TEST_CASE("a drawing wraps, breaks lines and stops at the last row") {
    const auto plain = [](const std::string& text) {
        std::vector<cell> cells;
        for (const char character : text) {
            cells.push_back({std::string(1, character), look::written});
        }
        return cells;
    };
    const std::string end = "\033[0m\033[K\n";
    CHECK(draw(plain("abcdef"), 4, 9).text == "abcd" + end + "ef" + end);
    CHECK(draw(plain("abcd"), 4, 9).rows == 1);
    CHECK(draw(plain("abcd\ne"), 4, 9).text == "abcd" + end + "e" + end);
    CHECK(draw(plain("a\n\nb\n"), 4, 9).text == "a" + end + end + "b" + end);
    CHECK(draw(plain("a\nb\nc\nd"), 4, 2).text == "a" + end + "b" + end);
    CHECK(draw(plain("abcdefghijkl"), 4, 2).rows == 2);
    CHECK(draw({}, 4, 2).rows == 0);
    const std::vector<cell> wide = {{"a", look::written}, {"世", look::written, 2}, {"界", look::written, 2}};
    CHECK(draw(wide, 4, 9).text == "a世" + end + "界" + end);
    const std::vector<cell> mixed = {
        {"a", look::given}, {"b", look::given}, {"\n", look::masked}, {"c", look::fresh}, {"d", look::written}};
    CHECK(draw(mixed, 9, 9).text == "\033[0;1mab\033[0;2m·\033[0;1;32mc\033[0md" + end);
}

TEST_CASE("the cells of a canvas say what was given, is masked, is fresh, and was there") {
    const text_codec letters({test_alphabet, {}});
    unmask::canvas page(unmask::vocabulary{letters.size(), letters.mask(), {}});
    page.add_infill(parse_template(letters, "a___"));
    page.add_infill(parse_template(letters, "_"));
    page.commit(0, 1, 3);
    page.commit(0, 3, 4);
    CHECK(text_of(page, 0, letters) == "ab_c");
    const std::vector<unmask::commitment> last = {
        {.where = {0, 2}, .token = letters.mask(), .score = {}, .change = unmask::change::remask},
        {.where = {0, 3}, .token = 4, .score = {}}};
    const std::vector<cell> cells = cells_of(page, last, letters);
    std::string characters;
    std::vector<look> looks;
    for (const cell& each : cells) {
        characters += each.character;
        looks.push_back(each.appearance);
    }
    CHECK(characters == "ab_c\n\n_");
    CHECK(looks == std::vector<look>{look::given, look::written, look::masked, look::fresh, look::written,
                                     look::written, look::masked});
}
