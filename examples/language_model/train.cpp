// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the character model, measures it, or rounds it for shipping. See --help.

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <numbers>
#include <stdexcept>
#include <string>

#include "checkpoint.hpp"
#include "command_line.hpp"
#include "corpus.hpp"
#include "evaluate.hpp"
#include "ngram.hpp"
#include "progress.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

constexpr const char* help =
    R"(usage: train --out FILE.safetensors [options]     train, or go on where FILE.safetensors.state stands
       train --evaluate FILE.safetensors          print the held-out bound in bits per character
       train --baseline [--evaluate FILE]         print what n-gram models of order 1 to 6 need, and the bound below it
       train --export FILE --from FILE            write a model with 16-bit weights

  --text FILE            what to learn, a line a verse (default: the King James Bible of Debian's bible-kjv)
  --sink NAME            none, token, off_by_one, logit, key, key_value (default: token)
  --steps N              length of the whole run (10000)
  --batch N --length N   sequences a step, characters a sequence (16, 256)
  --width N --layers N --heads N --ffn N          the model (192, 5, 3, 512)
  --learning-rate X --final-learning-rate X --warm-up N --weight-decay X          (2e-3, 1e-4, 200, 0.1)
  --seed N --threads N   (1, all cores); the number of threads does not change the result
  --pass N               sequences that go through the model together (2)
  --log-every N --save-every N --evaluate-every N          (50, 500, 1000)
  --windows N --draws N  windows of held-out text to measure (all), maskings of each (8)
)";

volatile std::sig_atomic_t interrupted = 0;

std::string describe(const bound& b) {
    char text[128];
    std::snprintf(text, sizeof text, "held-out bound %.4f bits/character, standard error %.4f, %lld windows", b.bits,
                  b.standard_error, static_cast<long long>(b.windows));
    return text;
}

template <class Model>
void train(const Model& model, model_card card, const training_settings& settings, const corpus& text,
           command_line& options) {
    const std::string out = options.text("out", "");
    const std::string state = out + ".state";
    const index_t log_every = options.integer("log-every", 50, {1});
    const index_t save_every = options.integer("save-every", 500, {1});
    const index_t evaluate_every = options.integer("evaluate-every", 1000, {1});
    const index_t all_windows = options.integer("windows", 0, {0});
    const index_t all_draws = options.integer("draws", 8, {1});
    const auto threads = static_cast<int>(options.integer("threads", 0, {0, 1024}));
    options.finish();

    const tokenizer characters(card.alphabet);
    const auto training = characters.encode(text.training);
    const auto held_out = characters.encode(text.held_out);
    trainer<Model> run(model, settings, training, characters.mask(), threads);
    if (std::filesystem::exists(state)) {
        const safetensors_file file = read_safetensors(state);
        const model_card saved = card_of(file);
        if (saved.shape != card.shape || saved.alphabet != card.alphabet || saved.sink != card.sink ||
            saved.length != card.length) {
            throw std::runtime_error(state + " is of another model; remove it or choose another --out");
        }
        card.step = saved.step;
        run.load(file);
    }
    const index_t steps = settings.optimizer.steps;
    progress line(card.step, steps, settings.batch * settings.length);
    line.note("sink " + card.sink + ", " + std::to_string(model.parameters()) + " parameters, " +
              std::to_string(training.size()) + " characters of text, from step " + std::to_string(card.step));
    const auto save = [&] {
        run.save(state, card);
        write_safetensors(out, named(model.places(), run.weights()), to_metadata(card));
    };
    const auto measure = [&](index_t windows, index_t draws) {
        return held_out_bound(run.executor(), model, run.weights(), held_out, characters.mask(),
                              {.length = settings.length, .windows = windows, .draws = draws});
    };

    while (card.step < steps && interrupted == 0) {
        line.add(run.step(card.step) / std::numbers::ln2);
        ++card.step;
        if (card.step % log_every == 0 || card.step == steps) {
            line.report(card.step, learning_rate(settings.optimizer, card.step));
        }
        if (card.step % evaluate_every == 0 && card.step < steps) {
            line.note("step " + std::to_string(card.step) + "  " + describe(measure(64, 4)));
        }
        if (card.step % save_every == 0) {
            save();
        }
    }
    save();
    line.note(interrupted != 0 ? "interrupted; the same command goes on from here"
                               : describe(measure(all_windows, all_draws)));
}

void train(command_line& options) {
    const corpus text = load_corpus(options.text("text", ""));
    model_card card;
    card.sink = options.text("sink", "token");
    card.length = options.integer("length", 256, {1, most_length});
    card.alphabet = tokenizer::of(text.training + text.held_out).alphabet();
    card.shape = {.vocabulary = static_cast<index_t>(card.alphabet.size()),
                  .width = options.integer("width", 192, {1, most_width}),
                  .layers = options.integer("layers", 5, {1, most_layers}),
                  .heads = options.integer("heads", 3, {1, most_width}),
                  .ffn = options.integer("ffn", 512, {1, most_width})};
    training_settings settings;
    settings.batch = options.integer("batch", settings.batch);
    settings.length = card.length;
    settings.pass = options.integer("pass", settings.pass);
    settings.seed = static_cast<std::uint32_t>(options.integer("seed", settings.seed));
    optimizer_settings& optimizer = settings.optimizer;
    optimizer.learning_rate = options.number("learning-rate", optimizer.learning_rate);
    optimizer.final_learning_rate = options.number("final-learning-rate", optimizer.final_learning_rate);
    optimizer.warm_up = options.integer("warm-up", optimizer.warm_up);
    optimizer.steps = options.integer("steps", optimizer.steps);
    optimizer.weight_decay = options.number("weight-decay", optimizer.weight_decay);
    with_variant(card.sink, card.shape, [&](const auto& model) { train(model, card, settings, text, options); });
}

void evaluate(command_line& options) {
    const safetensors_file file = read_safetensors(options.text("evaluate", ""));
    const model_card card = card_of(file);
    const tokenizer characters(card.alphabet);
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 0, {0, 1024}))};
    const bound_settings settings{.length = options.integer("length", card.length, {1, most_length}),
                                  .windows = options.integer("windows", 0, {0}),
                                  .draws = options.integer("draws", 8, {1})};
    const auto held_out = characters.encode(load_corpus(options.text("text", "")).held_out);
    options.finish();
    with_variant(card.sink, card.shape, [&](const auto& model) {
        auto weights = weights_of(file, model.places());
        const bound result = held_out_bound(exec, model, weights, held_out, characters.mask(), settings);
        std::printf("%s\n", describe(result).c_str());
    });
}

// What there is to beat: models that count characters, fitted and measured on the same texts.
void baseline(command_line& options) {
    const corpus text = load_corpus(options.text("text", ""));
    const tokenizer characters = tokenizer::of(text.training + text.held_out);
    const ngram_models models(characters.encode(text.training), characters.size(), 6);
    const auto held_out = characters.encode(text.held_out);
    std::printf("order  held-out bits/character   (order n predicts from the n - 1 characters before)\n");
    for (int order = 1; order <= models.largest_order(); ++order) {
        std::printf("%5d  %.4f\n", order, models.bits_per_token(order, held_out));
    }
    if (options.has("evaluate")) {
        evaluate(options);
    } else {
        options.finish();
    }
}

void export_model(command_line& options) {
    const std::string to = options.text("export", "");
    const safetensors_file file = read_safetensors(options.text("from", ""));
    options.finish();
    const model_card card = card_of(file);
    with_variant(card.sink, card.shape, [&](const auto& model) {
        const auto weights = weights_of(file, model.places());
        write_safetensors(to, rounded(named(model.places(), weights)), to_metadata(card));
    });
}

} // namespace

int main(int count, char** words) {
    try {
        command_line options(count, words);
        if (options.flag("baseline")) {
            baseline(options);
        } else if (options.has("evaluate")) {
            evaluate(options);
        } else if (options.has("export")) {
            export_model(options);
        } else if (options.has("out")) {
            std::signal(SIGINT, [](int) { interrupted = 1; });
            std::signal(SIGTERM, [](int) { interrupted = 1; });
            train(options);
        } else {
            (void)options.flag("help");
            options.finish();
            std::fputs(help, stdout);
        }
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "train: %s\n", error.what());
        return 1;
    }
}
