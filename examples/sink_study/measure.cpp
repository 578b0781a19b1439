// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The sampler and the metrics, compiled once for all models.

#include "measure.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include <unmask/analysis/key_class.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_strength.hpp>
#include <unmask/sampler/presets.hpp>

#include "by_sequence.hpp"
#include "class_summary.hpp"
#include "mean.hpp"

namespace sink_study {

namespace {

using nlohmann::ordered_json;
using records_view = std::span<const unmask::sink_record>;

// A model as the sampler sees it, reporting to a tracker. Sequences go through it one after the other.
struct traced_denoiser {
    traced_model& model;
    unmask::vocabulary tokens;
    index_t block; // 0: queries are all positions
    unmask::sink_tracker& all;
    query_tracker& masked;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }

    void denoise(const unmask::canvas& page, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        for (std::size_t i = 0; i < rows.size();) {
            const index_t sequence = rows[i].sequence;
            const index_t length = page.length(sequence);
            const index_t begin = block > 0 ? rows[i].position / block * block : 0;
            const index_t end = block > 0 ? std::min(begin + block, length) : length;
            const const_matrix predicted = model.logits(page.tokens(sequence));
            std::vector<index_t> positions;
            for (; i < rows.size() && rows[i].sequence == sequence; ++i) {
                positions.push_back(rows[i].position);
                std::copy_n(predicted.pointer(rows[i].position), tokens.size, logits.pointer(static_cast<index_t>(i)));
            }
            model.report(all, sequence, {begin, end}, end);
            model.report(masked, sequence, positions);
        }
    }
};

// Calls use(steps, layer, head) for every sequence and head.
template <class Use>
void for_each_head(records_view records, const Use& use) {
    for (const records_view steps : by_sequence(records)) {
        for (index_t layer = 0; layer < steps.front().layers; ++layer) {
            for (index_t head = 0; head < steps.front().heads; ++head) {
                use(steps, layer, head);
            }
        }
    }
}

// Movement of all heads together: a rate is over all pairs of steps whose strongest key is a sink, whatever their head.
template <class Definition>
ordered_json movement_by(records_view records, const Definition& definition) {
    mean gated, strength, change, shuffled_change, residence, overlap, variance, distinct, norms;
    for_each_head(records, [&](records_view steps, index_t layer, index_t head) {
        const auto weight = [](index_t count) { return static_cast<double>(count); };
        const unmask::sink_movement found = unmask::movement_of(steps, layer, head, definition);
        gated.add(weight(found.gated) / weight(found.steps), weight(found.steps));
        strength.add(found.strength, weight(found.gated));
        change.add(found.change_rate, weight(found.pairs));
        residence.add(found.residence, weight(found.gated) / found.residence);
        overlap.add(found.overlap, weight(found.pairs));
        variance.add(found.centroid_variance, weight(found.gated));
        distinct.add(weight(found.distinct), found.gated > 0 ? 1 : 0);
        norms.add(unmask::value_norm_ratio_of(steps, layer, head, definition), weight(found.gated));
        if (found.pairs > 0) {
            const auto control = unmask::movement_of(unmask::shuffled(steps, 1), layer, head, definition);
            shuffled_change.add(control.change_rate, weight(control.pairs));
        }
    });
    return {{"heads_with_sink", gated.json()},      {"strength", strength.json()},
            {"change_rate", change.json()},         {"change_rate_of_shuffled_steps", shuffled_change.json()},
            {"residence", residence.json()},        {"overlap", overlap.json()},
            {"centroid_variance", variance.json()}, {"distinct", distinct.json()},
            {"value_norm_ratio", norms.json()}};
}

// What extra sinks get: by layer, and of the head that gives them most.
ordered_json extra_sink_of(records_view records) {
    const unmask::sink_record& shape = records.front();
    if (shape.sinks == 0) {
        return nullptr;
    }
    mean all, deviation, strongest, norms;
    std::vector<mean> of_head(static_cast<std::size_t>(shape.layers * shape.heads));
    std::vector<mean> deviation_of_head(of_head.size());
    ordered_json by_layer = ordered_json::array();
    for_each_head(records, [&](records_view steps, index_t layer, index_t head) {
        const unmask::over_steps mass = unmask::extra_mass_of(steps, layer, head);
        const auto i = static_cast<std::size_t>(layer * shape.heads + head);
        all.add(mass.mean);
        deviation.add(mass.deviation);
        of_head[i].add(mass.mean);
        deviation_of_head[i].add(mass.deviation);
        norms.add(unmask::extra_norm_ratio_of(steps, layer, head));
        for (const unmask::sink_record& record : steps) {
            const auto received = unmask::received_in(record, layer, head, unmask::attention_unit::sum);
            const auto top = std::max_element(received.begin(), received.end()) - received.begin();
            strongest.add(top >= record.length ? 1 : 0);
        }
    });
    std::size_t most = 0;
    for (std::size_t i = 0; i < of_head.size(); ++i) {
        most = of_head[i].json() > of_head[most].json() ? i : most;
    }
    for (index_t layer = 0; layer < shape.layers; ++layer) {
        mean of_layer;
        for (index_t head = 0; head < shape.heads; ++head) {
            of_layer.add(of_head[static_cast<std::size_t>(layer * shape.heads + head)].json().get<double>());
        }
        by_layer.push_back(of_layer.json());
    }
    return {{"mass", all.json()},
            {"deviation_over_steps", deviation.json()},
            {"is_strongest_key", strongest.json()}, // share of heads and steps
            {"mass_by_layer", by_layer},
            {"strongest_head",
             {{"layer", static_cast<index_t>(most) / shape.heads},
              {"head", static_cast<index_t>(most) % shape.heads},
              {"mass", of_head[most].json()},
              {"deviation_over_steps", deviation_of_head[most].json()}}},
            {"value_norm_ratio", norms.json()}};
}

// What the strongest position of the text receives, over even attention: the mean over steps, and the highest of the
// heads.
ordered_json strongest_position_of(records_view records) {
    const unmask::sink_record& shape = records.front();
    std::vector<mean> of_head(static_cast<std::size_t>(shape.layers * shape.heads));
    mean all;
    for (const unmask::sink_record& record : records) {
        for (index_t layer = 0; layer < record.layers; ++layer) {
            for (index_t head = 0; head < record.heads; ++head) {
                const auto shares = unmask::received_in(record, layer, head, unmask::attention_unit::mean);
                const double most = *std::max_element(shares.begin(), shares.begin() + record.length);
                const double of_even = most * static_cast<double>(record.keys());
                all.add(of_even);
                of_head[static_cast<std::size_t>(layer * shape.heads + head)].add(of_even);
            }
        }
    }
    ordered_json highest = 0.0;
    for (const mean& each : of_head) {
        highest = std::max(highest, each.json());
    }
    return {{"times_even", all.json()}, {"times_even_in_strongest_head", highest}};
}

ordered_json similarity_of(records_view records) {
    std::vector<mean> of_layer(records.front().similarity.size());
    for (const unmask::sink_record& record : records) {
        for (std::size_t i = 0; i < of_layer.size(); ++i) {
            of_layer[i].add(record.similarity[i]);
        }
    }
    ordered_json result = ordered_json::array();
    for (const mean& each : of_layer) {
        result.push_back(each.json());
    }
    return result;
}

index_t calls_of(records_view records) {
    index_t calls = 0;
    for (const unmask::sink_record& record : records) {
        calls = std::max(calls, record.call + 1);
    }
    return calls;
}

// Where the attention of masked positions goes, by kind of key.
ordered_json class_shares_of(records_view records, std::span<const token_t> delimiters) {
    if (records.empty()) {
        return nullptr;
    }
    constexpr std::array<const char*, unmask::key_classes + 1> names = {"mask", "delimiter", "content", "extra", "own"};
    constexpr std::size_t content = 2;
    const unmask::sink_record* last = nullptr;
    std::vector<unmask::key_class> classes; // of the last record
    const auto shares = [&](const unmask::sink_record& record, index_t layer, index_t head) {
        if (&record != last) {
            classes = unmask::classes_of(record, delimiters);
            last = &record;
        }
        std::array<unmask::class_share, names.size()> result;
        std::ranges::copy(unmask::class_shares(record, layer, head, classes), result.begin());
        result.back() = unmask::own_share(record, layer, head);
        return result;
    };
    return to_json(class_summaries(records, calls_of(records), 0, records.front().layers - 1, content, shares), names);
}

} // namespace

attention_trace trace_of(traced_model& model, const job& which, const study_size& size, const study_data& data,
                         const measure_settings& settings) {
    const index_t length = size.of(which).length;
    const index_t block = in_blocks(which.variant) ? size.block : length;
    const auto prompt = static_cast<std::size_t>(static_cast<index_t>(settings.prompt * static_cast<double>(length)));
    const auto held_out = data.held_out(which, size);
    const index_t available = std::ssize(held_out) / length;
    const text_codec& symbols = data.symbols(which);
    unmask::canvas page({.size = symbols.size(), .mask = symbols.mask(), .end = {}});
    for (index_t i = 0; i < settings.sequences; ++i) {
        const auto begin = static_cast<std::size_t>(i * available / settings.sequences * length);
        page.add(std::span(held_out).subspan(begin, prompt), length - static_cast<index_t>(prompt));
    }
    unmask::sink_tracker all;
    query_tracker masked;
    traced_denoiser denoiser{model, page.vocabulary(), block < length ? block : 0, all, masked};
    const index_t steps = (length - static_cast<index_t>(prompt)) / size.of(which).positions_a_step;
    const auto sampler = unmask::presets::llada({.steps = steps, .block_length = block, .temperature = 0});
    sampler(unmask::cpu_executor{1}, denoiser, page, 1, [&](const unmask::sampler_step& step) {
        all(step);
        masked(step);
    });
    return {{all.records().begin(), all.records().end()}, masked.records()};
}

ordered_json sinks_of(const attention_trace& trace, const std::vector<token_t>& delimiters) {
    const std::vector<unmask::sink_record>& records = trace.all;
    const index_t calls = calls_of(records);
    return {
        {"sequences", by_sequence(records).size()},
        {"steps", calls},
        {"extra_sink", extra_sink_of(records)},
        {"strongest_position", strongest_position_of(records)},
        {"similarity_by_layer", similarity_of(records)},
        {"class_shares", class_shares_of(trace.masked, delimiters)},
        {"movement",
         {{"mean_above_0.3", movement_by(records, unmask::above_share{})},
          {"sum_3_above_others", movement_by(records, unmask::above_others{})},
          {"percent_3_above_others", movement_by(records, unmask::above_others{3, unmask::attention_unit::percent})},
          {"mean_plus_3_deviations", movement_by(records, unmask::above_deviations{})},
          {"not_gated", movement_by(records, unmask::highest{1})}}}};
}

} // namespace sink_study
