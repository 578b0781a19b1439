// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "device_option.hpp"
#include "evaluate.hpp"
#include "progress.hpp"
#include "training.hpp"
#include "training_cost.hpp"
#include "training_text.hpp"

namespace language_model {

inline std::string describe(const bound& b) {
    char text[128];
    std::snprintf(text, sizeof text, "held-out bound %.4f bits/character, standard error %.4f, %lld windows", b.bits,
                  b.standard_error, static_cast<long long>(b.windows));
    return text;
}

/// A whole run as the options of `train` describe it: from the state it left, if it left one, to its last step.
struct training_run {
    training_text text;
    model_card card; ///< of the first step
    training_settings settings;
    std::string out;
    index_t log_every;
    index_t save_every;
    index_t evaluate_every;
    index_t windows; ///< of held-out text to measure in the end; 0: all
    index_t draws;   ///< maskings of each

    /// Where the options say nothing, the shipped model's way, with the tokenizer in a file of its own; a GPU has no
    /// Muon and no mean of weights, and takes a whole batch as one pass. Throws std::invalid_argument, in the words of
    /// the command line.
    training_run(command_line& options, bool on_gpu, const std::string& default_tokenizer)
        : text(load_corpus(options.text("text", "")),
               {.alphabet = {}, .byte_pairs = contents_of(options.text("tokenizer", default_tokenizer))}),
          out(options.text("out", "")), log_every(options.integer("log-every", 50, {1})),
          save_every(options.integer("save-every", 250, {1})),
          evaluate_every(options.integer("evaluate-every", 250, {1})), windows(options.integer("windows", 0, {0})),
          draws(options.integer("draws", 8, {1})) {
        card.sink = options.text("sink", "key_value");
        card.length = options.integer("length", 256, {1, most_length});
        card.tokens = text.kind;
        card.shape = {.vocabulary = text.codec.size(),
                      .width = options.integer("width", 256, {1, most_width}),
                      .layers = options.integer("layers", 4, {1, most_layers}),
                      .heads = options.integer("heads", 4, {1, most_width}),
                      .ffn = options.integer("ffn", 688, {1, most_width})};
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
    }

    /// The batches of the text, which must stay where it is.
    [[nodiscard]] batch_source batches() const { return batches_of_text(text.training, settings, text.codec.mask()); }

    /// Takes the steps of a trainer or a cuda_trainer until `stops` says so, which is asked before each, with its
    /// number. Of several processes that share the run, all read its state, and the one that `leads` prints and writes.
    /// Throws std::runtime_error if the state is that of another model.
    template <class Trainer>
    void train(Trainer& trainer, const std::vector<tensor_place>& places,
               const std::function<bool(index_t step)>& stops, bool leads = true) const {
        model_card now = card;
        const std::string state = out + ".state";
        if (std::filesystem::exists(state)) {
            const safetensors_file file = read_safetensors(state);
            const model_card saved = card_of(file);
            if (saved.shape != card.shape || saved.tokens != card.tokens || saved.sink != card.sink ||
                saved.length != card.length) {
                throw std::runtime_error(state + " is of another model; remove it or choose another --out");
            }
            now.step = saved.step;
            trainer.load(file);
        }
        const index_t steps = settings.optimizer.steps;
        progress line(now.step, steps, settings.batch * settings.length,
                      training_flops_a_token(places, card.shape, settings.length));
        const auto note = [&](const std::string& words) {
            if (leads) {
                line.note(words);
            }
        };
        note("sink " + card.sink + ", " + std::to_string(size_of(places)) + " parameters, " +
             std::to_string(text.training.size()) + " tokens of text, from step " + std::to_string(now.step));
        const auto save = [&] {
            if (leads) {
                trainer.save(state, now);
                const std::vector<float>& weights = trainer.result();
                write_safetensors(out, named(places, weights), to_metadata(now));
            }
        };
        const auto measure = [&](index_t some, index_t times) {
            return trainer.held_out_bound(
                text.held_out, text.codec.mask(),
                {.length = settings.length, .windows = some, .draws = times, .characters = text.held_out_characters});
        };

        bool stopped = false;
        while (now.step < steps && !(stopped = stops(now.step))) {
            line.add(trainer.step(now.step) / std::numbers::ln2);
            ++now.step;
            if (leads && (now.step % log_every == 0 || now.step == steps)) {
                line.report(now.step, learning_rate(settings.optimizer, now.step));
            }
            if (leads && now.step % evaluate_every == 0 && now.step < steps) {
                note("step " + std::to_string(now.step) + "  " + describe(measure(64, 4)));
            }
            if (now.step % save_every == 0) {
                save();
            }
        }
        save();
        if (leads) {
            note(stopped ? "interrupted; the same command goes on from here"
                         : "step " + std::to_string(now.step) + "  " + describe(measure(windows, draws)));
        }
    }
};

} // namespace language_model
