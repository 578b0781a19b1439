// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the model, measures it, draws how it learned, or rounds it for shipping. See --help.

#include <cstdio>
#include <fstream>
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
#include "text_codec.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "training_run.hpp"
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

void train(command_line& options) {
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    const auto threads = threads_of(options);
    const training_run plan(options, on_gpu.has_value(), DEFAULT_TOKENIZER);
    options.finish();
    with_variant(plan.card.sink, plan.card.shape, [&]<class Model>(const Model& model) {
        const training_settings& settings = plan.settings;
        const auto stops = [](index_t /*step*/) { return interrupted != 0; };
        if (on_gpu) {
            const device_training shape{plan.card.shape, settings.length, settings.pass};
            cuda_trainer run(make_device_trainer(plan.card.sink, shape, *on_gpu), model.places(), plan.card.shape,
                             settings, plan.batches());
            plan.train(run, model.places(), stops);
        } else {
            trainer<Model> run(model, settings, plan.batches(), threads);
            plan.train(run, model.places(), stops);
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
