// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Training learns, goes on after a stop as if there had been none, and gives the same bits for any number of threads.

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "denoiser.hpp"
#include "evaluate.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

std::string proverb() {
    std::string text;
    for (int i = 0; i < 40; ++i) {
        text += "a soft answer turneth away wrath: but grievous words stir up anger.\n";
    }
    return text;
}

const tokenizer letters = tokenizer::of(proverb());
const std::vector<token_t> text = letters.encode(proverb());
const model_shape tiny{.vocabulary = letters.size(), .width = 32, .layers = 2, .heads = 2, .ffn = 48};
const training_settings quick{
    .batch = 8,
    .length = 40,
    .pass = 1,
    .seed = 4,
    .optimizer = {.learning_rate = 1e-2, .final_learning_rate = 1e-3, .warm_up = 5, .steps = 60}};

using sink_model = transformer<unmask::extra_sink<unmask::bidirectional>>;
const sink_model model(tiny, {.inner = {}, .position = 0, .count = 1});

trainer<sink_model> new_trainer(int threads) {
    return {model, quick, text, letters.mask(), threads};
}

} // namespace

TEST_CASE("sixty steps reduce the loss and the bound") {
    trainer<sink_model> run = new_trainer(2);
    const bound_settings some{.length = 40, .windows = 8, .draws = 4};
    const bound before = held_out_bound(run.executor(), model, run.weights(), text, letters.mask(), some);
    // Nothing is known: about log2(vocabulary) bits.
    CHECK(before.bits == doctest::Approx(std::log2(static_cast<double>(letters.size()))).epsilon(0.2));
    for (index_t step = 0; step < 60; ++step) {
        const double loss = run.step(step);
        REQUIRE(std::isfinite(loss));
    }
    const bound after = held_out_bound(run.executor(), model, run.weights(), text, letters.mask(), some);
    CHECK(after.bits < before.bits - 0.5);
    CHECK(after.windows == 8);
}

TEST_CASE("one thread and two take the same steps, bit for bit") {
    trainer<sink_model> one = new_trainer(1);
    trainer<sink_model> two = new_trainer(2);
    for (index_t step = 0; step < 5; ++step) {
        CHECK(one.step(step) == two.step(step));
    }
    CHECK(one.weights() == two.weights());
    const bound_settings some{.length = 40, .windows = 5, .draws = 2};
    CHECK(held_out_bound(one.executor(), model, one.weights(), text, letters.mask(), some).bits ==
          held_out_bound(two.executor(), model, two.weights(), text, letters.mask(), some).bits);
}

TEST_CASE("a run that stops and goes on is the run that did not stop, bit for bit") {
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_resume.state").string();
    trainer<sink_model> whole = new_trainer(1);
    trainer<sink_model> begun = new_trainer(1);
    for (index_t step = 0; step < 8; ++step) {
        whole.step(step);
        if (step < 4) {
            begun.step(step);
        }
    }
    model_card card{.shape = tiny, .tokens = {letters.alphabet(), {}}, .sink = "token", .length = 40, .step = 4};
    begun.save(path, card);

    trainer<sink_model> resumed = new_trainer(1);
    const safetensors_file file = read_safetensors(path);
    std::filesystem::remove(path);
    const model_card found = card_of(file);
    CHECK(found.shape == tiny);
    CHECK(found.tokens.alphabet == letters.alphabet());
    CHECK(found.sink == "token");
    CHECK(found.length == 40);
    resumed.load(file);
    for (index_t step = found.step; step < 8; ++step) {
        resumed.step(step);
    }
    CHECK(resumed.weights() == whole.weights());
    CHECK(resumed.weights() != begun.weights());
}

TEST_CASE("with Muon and a mean of the weights, too, a run goes on to the bit for any number of threads") {
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_muon.state").string();
    training_settings settings = quick;
    settings.average = 4;
    settings.optimizer.muon = true;
    settings.optimizer.cool_down = 20;
    trainer<sink_model> whole(model, settings, text, letters.mask(), 1);
    trainer<sink_model> begun(model, settings, text, letters.mask(), 2);
    std::vector<double> losses;
    for (index_t step = 0; step < 40; ++step) {
        losses.push_back(whole.step(step));
        if (step < 4) {
            begun.step(step);
        }
    }
    CHECK(losses.back() < losses.front() - 0.5);
    begun.save(path, {.shape = tiny, .tokens = {letters.alphabet(), {}}, .sink = "token", .length = 40, .step = 4});
    trainer<sink_model> resumed(model, settings, text, letters.mask(), 2);
    resumed.load(read_safetensors(path));
    std::filesystem::remove(path);
    for (index_t step = 4; step < 40; ++step) {
        resumed.step(step);
    }
    CHECK(resumed.weights() == whole.weights());
    CHECK(resumed.result() == whole.result());
    CHECK(resumed.result() != whole.weights());
}

TEST_CASE("what is used for generation is what was trained") {
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_trained.safetensors").string();
    auto weights = initial_weights(model.places(), tiny, 3);
    const model_card card{.shape = tiny, .tokens = {letters.alphabet(), {}}, .sink = "token", .length = 40, .step = 1};
    write_safetensors(path, named(model.places(), weights), to_metadata(card));
    language_model_denoiser denoiser(read_safetensors(path), unmask::cpu_executor{1});
    std::filesystem::remove(path);

    std::vector<token_t> tokens(text.begin(), text.begin() + 40);
    unmask::canvas page(denoiser.vocabulary());
    std::vector<unmask::row> rows;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = i % 3 == 0 ? unmask::blank : tokens[i];
        rows.push_back({0, static_cast<index_t>(i)});
    }
    page.add_infill(tokens);
    std::vector<float> logits(tokens.size() * static_cast<std::size_t>(tiny.vocabulary));
    denoiser.denoise(page, rows, unmask::view(logits.data(), tokens.size(), tiny.vocabulary));

    workspace work = model.make_workspace(1, 40);
    model.forward(cpu_layers{{1}}, model.bound(weights.data()), page.tokens(0), work);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        CHECK(logits[i] == doctest::Approx(work.logits.data[i]).epsilon(1e-4));
    }
}

TEST_CASE("batches mask the share of characters that their weights say, and hide nothing else") {
    const training_batch batch = make_batch(text, 64, 50, letters.mask(), 9, 1234567890123);
    double weight = 0.0;
    for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
        const bool masked = batch.tokens[i] == letters.mask();
        CHECK((batch.weights[i] > 0.0F) == masked);
        CHECK((masked || batch.tokens[i] == batch.targets[i]));
        weight += static_cast<double>(batch.weights[i]);
    }
    // E[1/t · masked] = 1 for every character. Its deviation is about √(ln(1000) / 3200) = 0.05.
    CHECK(weight == doctest::Approx(1.0).epsilon(0.2));
    CHECK(make_batch(text, 64, 50, letters.mask(), 9, 1).tokens !=
          make_batch(text, 64, 50, letters.mask(), 9, 2).tokens);
}
