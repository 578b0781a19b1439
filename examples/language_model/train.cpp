// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Trains the character model, measures it, or rounds it for shipping. See --help.

#include <csignal>
#include <cstdio>
#include <exception>
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
#include "text_codec.hpp"
#include "tokenizer.hpp"
#include "trainer.hpp"
#include "training_run.hpp"
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

void train(command_line& options) {
    const std::optional<precision> on_gpu = gpu_precision_of(options);
    const auto threads = static_cast<int>(options.integer("threads", 0, {0, 1024}));
    const training_run plan(options, on_gpu.has_value());
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
