// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/analysis/sink_record.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/presets.hpp>

#include "../backcopy.hpp"
#include "../query_tracker.hpp"
#include "hiding_transformer.hpp"

namespace sink_study::backcopy {

/// What a model's sinks are measured on: held-out sequences whose first quarter is given; the rest is filled in so many
/// steps by LLaDA's low-confidence sampler (arXiv 2502.09992), greedily, or with what it was, in a random order.
struct measure_settings {
    index_t sequences = 64;
    index_t length = 64;
    index_t steps = 16;
    bool own_text = false; ///< with what it was
};

/// No job learns from sequences of this seed.
inline constexpr std::uint32_t held_out_seed = 0x68656c64U;

/// What the records of trajectories say, means over sequences, steps, layers and heads; what is not there is
/// null. README.md says what each number means.
nlohmann::ordered_json sinks_of(std::span<const unmask::sink_record> records);

/// The main ones of these numbers.
nlohmann::ordered_json summary_of_sinks(std::span<const unmask::sink_record> records);

/// What those of the causal control say, of complete sequences behind a beginning token, which is position 0.
nlohmann::ordered_json first_token_of(std::span<const unmask::sink_record> records);

/// A sequence to measure on.
inline std::vector<token_t> held_out_sequence(index_t number, index_t length) {
    return make_backcopy(length, held_out_seed, static_cast<std::uint64_t>(number));
}

namespace detail {

// A model as the sampler sees it. The queries that are reported are the masked positions alone.
template <class Model>
class traced_model {
public:
    traced_model(const Model& model, std::vector<float>& weights, const measure_settings& settings)
        : model_(model), settings_(settings), weights_(model.bound(weights.data())),
          work_(model.make_workspace(1, settings.length)) {
        use_one_blas_thread();
    }

    [[nodiscard]] unmask::vocabulary vocabulary() const { return {backcopy_vocabulary, backcopy_vocabulary, {}}; }

    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        for (std::size_t i = 0; i < rows.size();) {
            const index_t sequence = rows[i].sequence;
            std::vector<index_t> masked;
            model_.forward(cpu_layers{exec_}, weights_, page.tokens(sequence), work_);
            for (; i < rows.size() && rows[i].sequence == sequence; ++i) {
                masked.push_back(model_.sinks() + rows[i].position);
                std::copy_n(work_.logits.pointer(rows[i].position), backcopy_vocabulary,
                            logits.pointer(static_cast<index_t>(i)));
                if (settings_.own_text) {
                    dictate(rows[i], logits.pointer(static_cast<index_t>(i)));
                }
            }
            report(page.tokens(sequence), sequence, masked);
        }
    }

    query_tracker tracker;

private:
    void report(std::span<const token_t> tokens, index_t sequence, std::span<const index_t> rows) {
        for (index_t layer = 0; layer < std::ssize(work_.layers); ++layer) {
            const auto i = static_cast<std::size_t>(layer);
            const auto all = model_.attention_tensors(work_.layers[i], work_);
            const auto& sink = weights_.layers[i].sink.policy();
            if constexpr (requires { model_.runs_of(tokens, work_); }) {
                const auto runs = model_.runs_of(tokens, work_); // which the mask refers to
                tracker.attention(exec_, layer, sequence, all, rows, model_.sinks(),
                                  hiding(model_.mask(), runs.front()), sink, false);
            } else {
                tracker.attention(exec_, layer, sequence, all, rows, model_.sinks(), model_.mask(), sink);
            }
        }
    }

    // Logits by which the sampler takes the symbol that was there, sooner or later.
    void dictate(const unmask::row& row, float* logits) const {
        const auto tokens = held_out_sequence(row.sequence, settings_.length);
        const auto words = unmask::philox{{held_out_seed, 0x6f776eU}}(
            {static_cast<std::uint32_t>(row.position), static_cast<std::uint32_t>(row.sequence), 0, 0});
        std::fill_n(logits, backcopy_vocabulary, 0.0F);
        logits[tokens[static_cast<std::size_t>(row.position)]] =
            4.0F + 4.0F * static_cast<float>(unmask::uniform_open(words[0], words[1])); // from 0.6 to 0.99
    }

    const Model& model_;
    measure_settings settings_;
    typename Model::weights_type weights_;
    workspace work_;
    unmask::cpu_executor exec_{1};
};

} // namespace detail

/// The attention of masked queries while a model fills in sequences.
template <class Model>
std::vector<unmask::sink_record> trace_of(const Model& model, std::vector<float>& weights,
                                          const measure_settings& settings) {
    const index_t prompt = settings.length / 4;
    unmask::canvas page({.size = backcopy_vocabulary, .mask = backcopy_vocabulary, .end = {}});
    for (index_t i = 0; i < settings.sequences; ++i) {
        const auto tokens = held_out_sequence(i, settings.length);
        page.add(std::span(tokens).first(static_cast<std::size_t>(prompt)), settings.length - prompt);
    }
    detail::traced_model<Model> traced(model, weights, settings);
    const auto sampler =
        unmask::presets::llada({.steps = settings.steps, .block_length = settings.length, .temperature = 0});
    sampler(unmask::cpu_executor{1}, traced, page, 1, traced.tracker);
    return traced.tracker.records();
}

/// The attention of a causal model on complete sequences, each with its beginning token in front.
template <class Model>
std::vector<unmask::sink_record> causal_trace_of(const Model& model, std::vector<float>& weights,
                                                 const measure_settings& settings) {
    use_one_blas_thread();
    const auto bound = model.bound(weights.data());
    workspace work = model.make_workspace(1, settings.length);
    unmask::sink_tracker tracker;
    for (index_t i = 0; i < settings.sequences; ++i) {
        auto tokens = held_out_sequence(i, settings.length);
        tokens.insert(tokens.begin(), backcopy_vocabulary);
        tokens.pop_back();
        model.forward(cpu_layers{{1}}, bound, tokens, work);
        for (index_t layer = 0; layer < std::ssize(work.layers); ++layer) {
            const auto at = static_cast<std::size_t>(layer);
            tracker.attention(unmask::cpu_executor{1}, layer, std::span(&i, 1),
                              model.attention_tensors(work.layers[at], work), model.mask(),
                              bound.layers[at].sink.policy());
        }
    }
    tracker.end_call();
    return {tracker.records().begin(), tracker.records().end()};
}

} // namespace sink_study::backcopy
