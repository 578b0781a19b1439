// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the character model, measures it, or rounds it for shipping. See --help.

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "command_line.hpp"
#include "corpus.hpp"
#include "cuda_trainer.hpp"
#include "device_option.hpp"
#include "evaluate.hpp"
#include "ngram.hpp"
#include "progress.hpp"
#include "text_codec.hpp"
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
  --tokenizer FILE       byte pairs of a tokenizer.json (default: a token is a character)
  --optimizer NAME       adamw, or muon for matrices, on the CPU (adamw)
  --average N            write and measure the mean of the weights over the last N steps or so (0: none)
  --cool-down N          keep the highest learning rate until the last N steps (0: it falls along a cosine)
  --steps N              length of the whole run (10000)
  --batch N --length N   sequences a step, tokens a sequence (16, 256)
  --width N --layers N --heads N --ffn N          the model (192, 5, 3, 512)
  --learning-rate X --final-learning-rate X --warm-up N --weight-decay X          (2e-3, 1e-4, 200, 0.1)
  --seed N --threads N   (1, all cores); the number of threads does not change the result
  --device NAME          cpu or cuda (cpu); files of one are read by the other
  --precision NAME       of products and attention: float, or bfloat16 on the GPU, with sums and weights in float
                         (cpu: float; cuda: bfloat16)
  --pass N               sequences that go through the model together (cpu: 2; cuda: the batch)
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

// What a run learns from, and is measured on.
struct training_text {
    text_codec codec;
    std::vector<token_t> training;
    std::vector<token_t> held_out;
    std::vector<index_t> held_out_characters; ///< of each token

    training_text(const corpus& text, const token_kind& kind)
        : codec(kind), training(codec.encode(text.training)), held_out(codec.encode(text.held_out)),
          held_out_characters(codec.lengths(held_out)) {}
};

// What a run says and writes as it goes on.
struct run_plan {
    std::string out;
    index_t log_every;
    index_t save_every;
    index_t evaluate_every;
    index_t windows;
    index_t draws;

    explicit run_plan(command_line& options)
        : out(options.text("out", "")), log_every(options.integer("log-every", 50, {1})),
          save_every(options.integer("save-every", 500, {1})),
          evaluate_every(options.integer("evaluate-every", 1000, {1})), windows(options.integer("windows", 0, {0})),
          draws(options.integer("draws", 8, {1})) {}
};

// Run is a trainer or a cuda_trainer.
template <class Run>
void train(Run& run, const std::vector<tensor_place>& places, model_card card, const training_settings& settings,
           const training_text& text, const run_plan& plan) {
    const std::string state = plan.out + ".state";
    if (std::filesystem::exists(state)) {
        const safetensors_file file = read_safetensors(state);
        const model_card saved = card_of(file);
        if (saved.shape != card.shape || saved.tokens != card.tokens || saved.sink != card.sink ||
            saved.length != card.length) {
            throw std::runtime_error(state + " is of another model; remove it or choose another --out");
        }
        card.step = saved.step;
        run.load(file);
    }
    const index_t steps = settings.optimizer.steps;
    progress line(card.step, steps, settings.batch * settings.length);
    line.note("sink " + card.sink + ", " + std::to_string(size_of(places)) + " parameters, " +
              std::to_string(text.training.size()) + " tokens of text, from step " + std::to_string(card.step));
    const auto save = [&] {
        run.save(state, card);
        const std::vector<float>& weights = run.result();
        write_safetensors(plan.out, named(places, weights), to_metadata(card));
    };
    const auto measure = [&](index_t windows, index_t draws) {
        return run.held_out_bound(
            text.held_out, text.codec.mask(),
            {.length = settings.length, .windows = windows, .draws = draws, .characters = text.held_out_characters});
    };

    while (card.step < steps && interrupted == 0) {
        line.add(run.step(card.step) / std::numbers::ln2);
        ++card.step;
        if (card.step % plan.log_every == 0 || card.step == steps) {
            line.report(card.step, learning_rate(settings.optimizer, card.step));
        }
        if (card.step % plan.evaluate_every == 0 && card.step < steps) {
            line.note("step " + std::to_string(card.step) + "  " + describe(measure(64, 4)));
        }
        if (card.step % plan.save_every == 0) {
            save();
        }
    }
    save();
    line.note(interrupted != 0 ? "interrupted; the same command goes on from here"
                               : describe(measure(plan.windows, plan.draws)));
}

void train(command_line& options) {
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    const auto threads = static_cast<int>(options.integer("threads", 0, {0, 1024}));
    const corpus text = load_corpus(options.text("text", ""));
    model_card card;
    card.sink = options.text("sink", "token");
    card.length = options.integer("length", 256, {1, most_length});
    if (options.has("tokenizer")) {
        card.tokens.byte_pairs = contents_of(options.text("tokenizer", ""));
    } else {
        card.tokens.alphabet = tokenizer::of(text.training + text.held_out).alphabet();
    }
    const training_text encoded(text, card.tokens);
    card.shape = {.vocabulary = encoded.codec.size(),
                  .width = options.integer("width", 192, {1, most_width}),
                  .layers = options.integer("layers", 5, {1, most_layers}),
                  .heads = options.integer("heads", 3, {1, most_width}),
                  .ffn = options.integer("ffn", 512, {1, most_width})};
    training_settings settings;
    settings.batch = options.integer("batch", settings.batch);
    settings.length = card.length;
    settings.pass = options.integer("pass", on_gpu ? settings.batch : settings.pass);
    settings.seed = static_cast<std::uint32_t>(options.integer("seed", settings.seed));
    settings.average = options.integer("average", 0, {0});
    optimizer_settings& optimizer = settings.optimizer;
    const std::string kind = options.text("optimizer", "adamw");
    expect_option(kind == "adamw" || kind == "muon", "optimizer", kind, "adamw or muon");
    optimizer.muon = kind == "muon";
    optimizer.cool_down = options.integer("cool-down", 0, {0});
    optimizer.learning_rate = options.number("learning-rate", optimizer.learning_rate);
    optimizer.final_learning_rate = options.number("final-learning-rate", optimizer.final_learning_rate);
    optimizer.warm_up = options.integer("warm-up", optimizer.warm_up);
    optimizer.steps = options.integer("steps", optimizer.steps);
    optimizer.weight_decay = options.number("weight-decay", optimizer.weight_decay);
    const run_plan plan(options);
    options.finish();
    const auto source = batches_of_text(encoded.training, settings, encoded.codec.mask());
    with_variant(card.sink, card.shape, [&]<class Model>(const Model& model) {
        if (on_gpu) {
            cuda_trainer run(make_device_trainer(card.sink, {card.shape, settings.length, settings.pass}, *on_gpu),
                             model.places(), card.shape, settings, source);
            train(run, model.places(), card, settings, encoded, plan);
        } else {
            trainer<Model> run(model, settings, source, threads);
            train(run, model.places(), card, settings, encoded, plan);
        }
    });
}

void evaluate(command_line& options) {
    const safetensors_file file = read_safetensors(options.text("evaluate", ""));
    const model_card card = card_of(file);
    const text_codec codec(card.tokens);
    const unmask::cpu_executor exec{static_cast<int>(options.integer("threads", 0, {0, 1024}))};
    const auto held_out = codec.encode(load_corpus(options.text("text", "")).held_out);
    const std::vector<index_t> characters = codec.lengths(held_out);
    const bound_settings settings{.length = options.integer("length", card.length, {1, most_length}),
                                  .windows = options.integer("windows", 0, {0}),
                                  .draws = options.integer("draws", 8, {1}),
                                  .characters = characters};
    options.finish();
    with_variant(card.sink, card.shape, [&](const auto& model) {
        auto weights = weights_of(file, model.places());
        const bound result = held_out_bound(exec, model, weights, held_out, codec.mask(), settings);
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
