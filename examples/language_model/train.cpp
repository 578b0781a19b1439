// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the model, measures it, draws how it learned, or rounds it for shipping. See --help.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "common_options.hpp"
#include "corpus.hpp"
#include "cuda_trainer.hpp"
#include "curve.hpp"
#include "device_option.hpp"
#include "evaluate.hpp"
#include "ngram.hpp"
#include "output_file.hpp"
#include "program.hpp"
#include "progress.hpp"
#include "text_codec.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "training_cost.hpp"
#include "variant.hpp"

#ifndef DEFAULT_TOKENIZER
#define DEFAULT_TOKENIZER "king_james.tokenizer.json"
#endif

using namespace language_model;

namespace {

constexpr const char* help =
    R"(usage: train --out FILE.safetensors [options]     train, or go on where FILE.safetensors.state stands
       train --evaluate FILE.safetensors          print the held-out bound in bits per character
       train --baseline [--evaluate FILE]         print what n-gram models of order 1 to 6 need, and the bound below it
       train --curve FILE.svg --log FILE          draw the bounds in what training printed, and what n-grams need
       train --export FILE --from FILE            write a model with 16-bit weights

  --text FILE            what to learn, a line a verse (default: the King James Bible of Debian's bible-kjv)
  --tokenizer FILE       byte pairs, a tokenizer.json (default: king_james.tokenizer.json beside this program's source)
  --sink NAME            none, token, off_by_one, logit, key, key_value (key_value)
  --optimizer NAME       adamw, or muon for matrices, on the CPU alone (cpu: muon; cuda: adamw)
  --average N            write and measure the mean of the weights over the last N steps or so, on the CPU alone; 0:
                         none (cpu: 300; cuda: 0)
  --cool-down N          keep the highest learning rate until the last N steps; 0: it falls along a cosine (900)
  --steps N              length of the whole run (2000)
  --batch N --length N   sequences a step, tokens a sequence (32, 256)
  --width N --layers N --heads N --ffn N          the model (256, 4, 4, 688)
  --learning-rate X --final-learning-rate X --warm-up N --weight-decay X     (muon: 4e-3, adamw: 2e-3; 1e-4, 100, 0.1)
  --seed N --threads N   (1, all cores); the number of threads does not change the result
  --device NAME          cpu or cuda (cpu); files of one are read by the other
  --precision NAME       of products and attention: float, or bfloat16 on the GPU, with sums and weights in float
                         (cpu: float; cuda: bfloat16)
  --pass N               sequences that go through the model together (cpu: 2; cuda: the batch)
  --log-every N --save-every N --evaluate-every N          (50, 250, 250)
  --windows N --draws N  windows of held-out text to measure (all), maskings of each (8)
)";

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
          save_every(options.integer("save-every", 250, {1})),
          evaluate_every(options.integer("evaluate-every", 250, {1})), windows(options.integer("windows", 0, {0})),
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
    progress line(card.step, steps, settings.batch * settings.length,
                  training_flops_a_token(places, card.shape, settings.length));
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
    line.note(interrupted != 0
                  ? "interrupted; the same command goes on from here"
                  : "step " + std::to_string(card.step) + "  " + describe(measure(plan.windows, plan.draws)));
}

void train(command_line& options) {
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    const auto threads = threads_of(options);
    const corpus text = load_corpus(options.text("text", ""));
    model_card card;
    card.sink = options.text("sink", "key_value");
    card.length = options.integer("length", 256, {1, most_length});
    card.tokens.byte_pairs = contents_of(options.text("tokenizer", DEFAULT_TOKENIZER));
    const training_text encoded(text, card.tokens);
    card.shape = {.vocabulary = encoded.codec.size(),
                  .width = options.integer("width", 256, {1, most_width}),
                  .layers = options.integer("layers", 4, {1, most_layers}),
                  .heads = options.integer("heads", 4, {1, most_width}),
                  .ffn = options.integer("ffn", 688, {1, most_width})};
    training_settings settings;
    settings.batch = options.integer("batch", 32);
    settings.length = card.length;
    settings.pass = options.integer("pass", on_gpu ? settings.batch : settings.pass);
    settings.seed = static_cast<std::uint32_t>(options.integer("seed", settings.seed));
    settings.average = options.integer("average", on_gpu ? 0 : 300, {0});
    optimizer_settings& optimizer = settings.optimizer;
    const std::string kind = options.text("optimizer", on_gpu ? "adamw" : "muon");
    expect_option(kind == "adamw" || kind == "muon", "optimizer", kind, "adamw or muon");
    optimizer.muon = kind == "muon";
    optimizer.cool_down = options.integer("cool-down", 900, {0});
    optimizer.learning_rate = options.number("learning-rate", optimizer.muon ? 4e-3 : 2e-3);
    optimizer.final_learning_rate = options.number("final-learning-rate", optimizer.final_learning_rate);
    optimizer.warm_up = options.integer("warm-up", 100);
    optimizer.steps = options.integer("steps", 2000);
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
    const unmask::cpu_executor exec{threads_of(options)};
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

// What there is to beat: models that count characters, fitted and measured on the same texts. Bits a character by
// order, from 1.
std::vector<double> ngram_bits(const std::string& text_path) {
    const corpus text = load_corpus(text_path);
    const tokenizer characters = tokenizer::of(text.training + text.held_out);
    const ngram_models models(characters.encode(text.training), characters.size(), 6);
    const auto held_out = characters.encode(text.held_out);
    std::vector<double> bits;
    for (int order = 1; order <= models.largest_order(); ++order) {
        bits.push_back(models.bits_per_token(order, held_out));
    }
    return bits;
}

void baseline(command_line& options) {
    const std::vector<double> bits = ngram_bits(options.text("text", ""));
    std::printf("order  held-out bits/character   (order n predicts from the n - 1 characters before)\n");
    for (std::size_t i = 0; i < bits.size(); ++i) {
        std::printf("%5zu  %.4f\n", i + 1, bits[i]);
    }
    if (options.has("evaluate")) {
        evaluate(options);
    } else {
        options.finish();
    }
}

void draw_curve(command_line& options) {
    const std::string to = output_path(options, "curve", {".svg"});
    const std::string log = options.text("log", "");
    const std::string text = options.text("text", "");
    const index_t tokens_a_step = options.integer("batch", 32, {1}) * options.integer("length", 256, {1, most_length});
    options.finish();
    std::ifstream lines(log);
    const auto bounds = bounds_in(lines);
    if (bounds.empty()) {
        refuse("log", log, "a file with what train printed, a held-out bound among it");
    }
    const std::vector<double> bits = ngram_bits(text);
    write_file(to, [&](std::ostream& file) {
        file << svg_of(curve_of(bounds, tokens_a_step,
                                {{formatted("5-gram of characters: %.3f", bits[4]), bits[4]},
                                 {formatted("6-gram of characters: %.3f", bits[5]), bits[5]}}));
    });
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

void run(command_line& options) {
    if (options.flag("baseline")) {
        baseline(options);
    } else if (options.has("evaluate")) {
        evaluate(options);
    } else if (options.has("curve")) {
        draw_curve(options);
    } else if (options.has("export")) {
        export_model(options);
    } else if (options.has("out")) {
        catch_interrupts();
        train(options);
    } else {
        options.finish();
        std::fputs(help, stdout);
    }
}

} // namespace

int main(int count, char** words) {
    return run_program("train", help, count, words, run);
}
