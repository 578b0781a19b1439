// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// All models, compiled once.

#include "run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>

#include "checkpoint.hpp"
#include "measure.hpp"
#include "models.hpp"
#include "trainer.hpp"

namespace sink_study::backcopy {

namespace {

using nlohmann::ordered_json;

index_t length_of(const job& which, const size& scale) {
    return which.of.length / scale.length_divisor;
}

bool is_causal(const job& which) {
    return which.of.keys == "causal";
}

index_t steps_of(const job& which, const size& scale) {
    return which.of.training != "trained" ? 0 : is_causal(which) ? scale.causal_steps : scale.steps;
}

training_settings training_of(const job& which, const size& scale) {
    const index_t sequences = scale.tokens / length_of(which, scale);
    return {.batch = sequences,
            .length = length_of(which, scale),
            .pass = std::max<index_t>(1, sequences / 4),
            .seed = which.seed,
            .optimizer = {.learning_rate = 3e-3,
                          .final_learning_rate = 1.5e-4,
                          .warm_up = 50,
                          .steps = steps_of(which, scale),
                          .beta1 = 0.9,
                          .beta2 = 0.98,
                          .weight_decay = 1e-3,
                          .largest_norm = 1.0},
            .start = weight_draw::by_name};
}

// The next symbol of every position, behind a beginning token.
training_batch next_symbols(std::vector<token_t> targets, index_t length) {
    training_batch batch{.tokens = {}, .targets = std::move(targets), .weights = {}};
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
        const bool first = static_cast<index_t>(i) % length == 0;
        batch.tokens.push_back(first ? backcopy_vocabulary : batch.targets[i - 1]);
    }
    batch.weights.assign(batch.targets.size(), 1.0F / static_cast<float>(batch.targets.size()));
    return batch;
}

// Held-out sequences of which every position is masked with probability 1/2; the same for all jobs of a length.
training_batch half_masked(std::vector<token_t> targets) {
    const unmask::philox generator{{held_out_seed, 0x68616c66U}};
    training_batch batch{.tokens = targets, .targets = std::move(targets), .weights = {}};
    for (std::size_t i = 0; i < batch.targets.size(); ++i) {
        const bool masked = generator({static_cast<std::uint32_t>(i), 0, 0, 0})[0] >> 31 != 0;
        batch.tokens[i] = masked ? backcopy_vocabulary : batch.tokens[i];
        batch.weights.push_back(masked ? 1.0F : 0.0F);
    }
    return batch;
}

// Mean loss where something is to be said, in nats; and how often the likeliest symbol is right where it is a copy
// whose source and marker can be seen.
template <class Model>
ordered_json evaluation_of(const Model& model, std::vector<float>& weights, const job& which, const size& scale) {
    const index_t length = length_of(which, scale);
    auto targets = backcopy_tokens(scale.held_out, length, held_out_seed, 1U << 20);
    const training_batch all =
        is_causal(which) ? next_symbols(std::move(targets), length) : half_masked(std::move(targets));
    use_one_blas_thread();
    const auto bound = model.bound(weights.data());
    constexpr index_t at_once = 16;
    workspace work = model.make_workspace(at_once, length);
    double loss = 0.0;
    double weight = 0.0;
    index_t copies = 0;
    index_t right = 0;
    const auto count = static_cast<std::size_t>(at_once * length);
    for (std::size_t begin = 0; begin + count <= all.tokens.size(); begin += count) {
        const auto tokens = std::span(all.tokens).subspan(begin, count);
        const auto symbols = std::span(all.targets).subspan(begin, count);
        const auto weights_of_rows = std::span(all.weights).subspan(begin, count);
        model.forward(cpu_layers{{1}}, bound, tokens, work);
        for (index_t row = 0; row < at_once * length; ++row) {
            const auto i = static_cast<std::size_t>(row);
            const bool counts = row % length >= 2 && symbols[i - 1] == copy_marker && weights_of_rows[i] > 0.0F;
            if (counts && (is_causal(which) || (tokens[i - 1] == copy_marker && tokens[i - 2] == symbols[i]))) {
                const float* logits = work.logits.pointer(row);
                ++copies;
                right += std::max_element(logits, logits + backcopy_vocabulary) - logits == symbols[i];
            }
        }
        for (const float each : weights_of_rows) {
            weight += static_cast<double>(each);
        }
        loss += weighted_cross_entropy(work.logits, symbols, weights_of_rows);
    }
    return {{"cross_entropy", loss / weight},
            {"copies", copies},
            {"copied", copies > 0 ? static_cast<double>(right) / static_cast<double>(copies) : 0.0}};
}

// Queries of 0: every key that is seen gets the same.
void make_uniform(const std::vector<tensor_place>& places, std::vector<float>& weights) {
    for (const tensor_place& place : places) {
        if (place.name.ends_with("query_key_value")) {
            for (index_t row = 0; row < place.rows; ++row) {
                std::fill_n(weights.begin() + place.offset + row * place.columns, place.columns / 3, 0.0F);
            }
        }
    }
}

} // namespace

training_batch batch_of(const job& which, const size& scale, index_t step) {
    const index_t length = length_of(which, scale);
    const index_t sequences = scale.tokens / length;
    auto targets = backcopy_tokens(sequences, length, which.seed, static_cast<std::uint64_t>(step * sequences));
    return is_causal(which)
               ? next_symbols(std::move(targets), length)
               : masked_batch(std::move(targets), sequences, length, backcopy_vocabulary, which.seed, step);
}

ordered_json run_job(const job& which, const size& scale, const std::string& weights_file) {
    const auto start = std::chrono::steady_clock::now();
    const model_shape shape = shape_of(which.of, scale.width, scale.ffn);
    return with_model(which, shape, length_of(which, scale), [&](const auto& model) -> ordered_json {
        trainer run(model, training_of(which, scale), [&](index_t step) { return batch_of(which, scale, step); }, 1);
        const index_t steps = steps_of(which, scale);
        double last = 0.0;
        for (index_t step = 0; step < steps; ++step) {
            last = run.step(step);
            if (!std::isfinite(last)) {
                throw std::runtime_error(which.name() + ": the loss is not finite at step " + std::to_string(step));
            }
        }
        std::vector<float>& weights = run.weights();
        if (which.of.training == "uniform") {
            make_uniform(model.places(), weights);
        }
        if (!weights_file.empty()) {
            write_safetensors(weights_file, named(model.places(), weights), {{"job", which.name()}});
        }
        measure_settings traced{scale.traced, length_of(which, scale), scale.trajectory};
        ordered_json result = {{"model", which.of.model},
                               {"length", which.of.length},
                               {"keys", which.of.keys},
                               {"variant", which.of.variant},
                               {"training", which.of.training},
                               {"seed", which.seed},
                               {"size", scale.name},
                               {"steps", steps},
                               {"parameters", model.parameters()},
                               {"held_out", evaluation_of(model, weights, which, scale)}};
        if (is_causal(which)) {
            result["first_token"] = first_token_of(causal_trace_of(model, weights, traced));
        } else {
            result["sinks"] = sinks_of(trace_of(model, weights, traced));
            traced.own_text = true;
            result["sinks_in_own_text"] = summary_of_sinks(trace_of(model, weights, traced));
        }
        result["seconds"] = std::round(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        return result;
    });
}

} // namespace sink_study::backcopy
