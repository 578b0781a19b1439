// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/analysis/sink_record.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/presets.hpp>

#include "../backcopy.hpp"
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

// The queries of some positions of a sequence, beside each other, with what the backward pass keeps of them.
struct gathered_queries {
    std::vector<float> query;
    std::vector<float> log_sum_exp;

    gathered_queries(const unmask::attention_tensors<float>& all, std::span<const index_t> rows) {
        const index_t heads = all.query.extents[2];
        const index_t dim = all.query.extents[3];
        for (const index_t row : rows) {
            for (index_t head = 0; head < heads; ++head) {
                query.insert(query.end(), all.query.pointer(0, row, head), all.query.pointer(0, row, head) + dim);
            }
        }
        for (index_t head = 0; head < heads; ++head) {
            for (const index_t row : rows) {
                log_sum_exp.push_back(all.log_sum_exp(0, head, row));
            }
        }
    }

    [[nodiscard]] unmask::attention_tensors<float> tensors(const unmask::attention_tensors<float>& all) {
        const index_t heads = all.query.extents[2];
        const index_t dim = all.query.extents[3];
        const index_t count = std::ssize(log_sum_exp) / heads;
        const float* rows = query.data();
        return {.query = unmask::view(rows, 1, count, heads, dim),
                .key = all.key,
                .value = all.value,
                .output = unmask::view(query.data(), 1, count, heads, dim), // not written to
                .log_sum_exp = unmask::view(log_sum_exp.data(), 1, heads, count)};
    }
};

// What the queries of some rows give to their own keys, [heads, length of the text].
inline std::vector<float> own_shares(const unmask::attention_tensors<float>& all, std::span<const index_t> rows,
                                     index_t sinks) {
    const index_t heads = all.query.extents[2];
    const index_t dim = all.query.extents[3];
    const index_t length = all.query.extents[1] - sinks;
    std::vector<float> own(static_cast<std::size_t>(heads * length), 0.0F);
    for (const index_t row : rows) {
        for (index_t head = 0; head < heads; ++head) {
            const float* q = all.query.pointer(0, row, head);
            const float* k = all.key.pointer(0, row, head);
            double score = 0.0;
            for (index_t i = 0; i < dim; ++i) {
                score += static_cast<double>(q[i]) * static_cast<double>(k[i]);
            }
            const double probability = std::exp(score / std::sqrt(static_cast<double>(dim)) -
                                                static_cast<double>(all.log_sum_exp(0, head, row)));
            own[static_cast<std::size_t>(head * length + row - sinks)] = static_cast<float>(probability);
        }
    }
    return own;
}

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

    // Ends the run: its records, with what positions give to themselves.
    [[nodiscard]] std::vector<unmask::sink_record> records() const {
        std::vector<unmask::sink_record> result(tracker.records().begin(), tracker.records().end());
        for (unmask::sink_record& each : result) {
            each.own = own_.at({each.call, each.sequence});
        }
        return result;
    }

    unmask::sink_tracker tracker;

private:
    void report(std::span<const token_t> tokens, index_t sequence, std::span<const index_t> rows) {
        std::vector<float>& own = own_[{tracker.calls(), sequence}];
        for (index_t layer = 0; layer < std::ssize(work_.layers); ++layer) {
            const auto i = static_cast<std::size_t>(layer);
            const auto all = model_.attention_tensors(work_.layers[i], work_);
            gathered_queries some(all, rows);
            const auto add = [&](const auto& mask) { // no mask of these depends on where a query is, except sinks'
                tracker.attention(exec_, layer, std::span(&sequence, 1), some.tensors(all), mask,
                                  weights_.layers[i].sink.policy(), {.query_offset = model_.sinks()});
            };
            std::vector<float> of_layer;
            if constexpr (requires { model_.runs_of(tokens, work_); }) {
                const auto runs = model_.runs_of(tokens, work_);
                add(hiding(model_.mask(), runs.front()));
                of_layer = own_shares(all, {}, model_.sinks()); // these queries are hidden from themselves
            } else {
                add(model_.mask());
                of_layer = own_shares(all, rows, model_.sinks());
            }
            own.insert(own.end(), of_layer.begin(), of_layer.end());
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
    std::map<std::pair<index_t, index_t>, std::vector<float>> own_; // by call and sequence
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
    return traced.records();
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
