// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// All variants, compiled once.

#include "run_job.hpp"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <numbers>
#include <stdexcept>

#include "checkpoint.hpp"
#include "cuda_trainer.hpp"
#include "evaluate.hpp"
#include "measure.hpp"
#include "study_trainer.hpp"
#include "traced_model.hpp"

namespace sink_study {

namespace {

using clock = std::chrono::steady_clock;

double seconds_since(clock::time_point start) {
    return std::chrono::duration<double>(clock::now() - start).count();
}

const char* name_of_optimizer(const training_settings& settings) {
    return settings.optimizer.muon ? "muon" : "adamw";
}

// What a state has to agree with to be gone on from.
std::map<std::string, std::string> identity_of(const job& which, const study_size& size,
                                               const training_settings& settings) {
    return {{"job", which.name()},
            {"size", size.name},
            {"steps", std::to_string(settings.optimizer.steps)},
            {"optimizer", name_of_optimizer(settings)}};
}

nlohmann::ordered_json settings_of(const job& which, const study_size& size, const study_data& data,
                                   const training_settings& training) {
    const variant_settings variant = data.variant(which, size);
    nlohmann::ordered_json settings = {{"layers", variant.shape.layers},
                                       {"width", variant.shape.width},
                                       {"heads", variant.shape.heads},
                                       {"ffn", variant.shape.ffn},
                                       {"vocabulary", variant.shape.vocabulary},
                                       {"length", variant.length},
                                       {"batch", training.batch},
                                       {"optimizer", name_of_optimizer(training)},
                                       {"learning_rate", training.optimizer.learning_rate},
                                       {"final_learning_rate", training.optimizer.final_learning_rate},
                                       {"warm_up", training.optimizer.warm_up},
                                       {"cool_down", training.optimizer.cool_down},
                                       {"weight_decay", training.optimizer.weight_decay}};
    if (in_blocks(which.variant)) {
        settings["block"] = variant.block;
    }
    if (const index_t place = sink_place(which.variant, variant); place > 0) {
        settings["sink_before"] = place;
    }
    return settings;
}

// How good a model is on what it has not seen.
template <class Model>
nlohmann::ordered_json evaluation_of(const Model& model, std::vector<float>& weights, const job& which,
                                     const study_size& size, const study_data& data) {
    const task_size& task = size.of(which);
    const auto held_out = data.held_out(which, size);
    const bound found = held_out_bound(unmask::cpu_executor{1}, model, weights, held_out, data.symbols(which).mask(),
                                       {.length = task.length,
                                        .windows = task.held_out,
                                        .draws = 8,
                                        .seed = 1,
                                        .characters = data.held_out_characters(which),
                                        .block = in_blocks(which.variant) ? size.block : 0});
    nlohmann::ordered_json result = {
        {"bits", found.bits}, {"standard_error", found.standard_error}, {"windows", found.windows}};
    if (which.task == "retrieval") {
        result["exact_match"] = exact_match(model, weights, task.length, task.held_out, study_data::held_out_seed);
    }
    return result;
}

template <class Running>
attention_trace trace(const Running& model, std::vector<float>& weights, const job& which, const study_size& size,
                      const study_data& data) {
    traced_transformer<Running> traced(model, weights, size.of(which).length);
    return trace_of(traced, which, size, data);
}

// Run is a trainer or a cuda_trainer.
template <class Run, class Model, class Running>
bool train(Run& run, const Model& model, const Running& running, const job& which, const study_size& size,
           const study_data& data, const study_folders& folders, const job_control& control) {
    const training_settings settings = training_of(which, size, control.on_gpu);
    const auto identity = identity_of(which, size, settings);
    const index_t steps = settings.optimizer.steps;
    index_t step = 0;
    double before = 0.0; // seconds of earlier calls
    if (const std::string path = folders.state(which); std::filesystem::exists(path)) {
        const safetensors_file file = read_safetensors(path);
        for (const auto& [name, value] : identity) {
            const auto found = file.metadata.find(name);
            if (found == file.metadata.end() || found->second != value) {
                throw std::runtime_error(path + " has another " + name + "; remove it or choose another --work");
            }
        }
        run.load(file);
        step = integer_of(file, "step", {0});
        before = number_of(file, "seconds");
    }
    const auto start = clock::now();
    const auto save = [&] {
        auto metadata = identity;
        metadata["step"] = std::to_string(step);
        metadata["seconds"] = std::to_string(before + seconds_since(start));
        run.save(folders.state(which), metadata);
    };
    auto saved = clock::now();
    while (step < steps) {
        if (control.stop()) {
            save();
            return false;
        }
        const double bits = run.step(step) / std::numbers::ln2;
        if (!std::isfinite(bits)) {
            throw std::runtime_error(which.name() + ": the loss is not finite at step " + std::to_string(step));
        }
        control.progress(++step, bits);
        if (seconds_since(saved) > control.save_every) {
            save();
            saved = clock::now();
        }
    }
    const double seconds = before + seconds_since(start);
    model_card card{.shape = model.shape(),
                    .tokens = data.kind(which),
                    .sink = which.variant,
                    .length = size.of(which).length,
                    .step = step};
    std::vector<float> weights = run.weights();
    write_safetensors(folders.weights(which), named(model.places(), weights), to_metadata(card));
    write_result(folders.result(which),
                 {{"task", which.task},
                  {"variant", which.variant},
                  {"training", which.training},
                  {"seed", which.seed},
                  {"size", size.name},
                  {"device", control.on_gpu ? "cuda" : "cpu"},
                  {"settings", settings_of(which, size, data, settings)},
                  {"steps", steps},
                  {"seconds", std::round(seconds)},
                  {"parameters", model.parameters()},
                  {"held_out", evaluation_of(model, weights, which, size, data)},
                  {"sinks", sinks_of(trace(running, weights, which, size, data), data.delimiters(which))}});
    std::filesystem::remove(folders.state(which));
    return true;
}

} // namespace

bool run_job(const job& which, const study_size& size, const study_data& data, const study_folders& folders,
             const job_control& control) {
    const variant_settings variant = data.variant(which, size);
    const training_settings settings = training_of(which, size, control.on_gpu);
    const auto batches = data.batches(which, size);
    return with_variant(which.variant, variant, [&]<class Model>(const Model& model, const auto& running) {
        if (control.on_gpu) {
            const device_training together{model.shape(), settings.length, settings.batch};
            cuda_trainer run(make_study_trainer(which.variant, variant, together), model.places(), model.shape(),
                             settings, batches);
            return train(run, model, running, which, size, data, folders, control);
        }
        trainer<Model> run(model, settings, batches, 1);
        return train(run, model, running, which, size, data, folders, control);
    });
}

std::vector<unmask::sink_record> trace_job(const job& which, const study_size& size, const study_data& data,
                                           const study_folders& folders) {
    return with_variant(which.variant, data.variant(which, size), [&](const auto& /*model*/, const auto& running) {
        auto weights = weights_of(read_safetensors(folders.weights(which)), running.places());
        return trace(running, weights, which, size, data).all;
    });
}

} // namespace sink_study
