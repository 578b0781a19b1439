// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "measure.hpp"

#include <array>
#include <limits>
#include <numeric>
#include <string>

#include <unmask/analysis/key_class.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_strength.hpp>

#include "../by_sequence.hpp"
#include "../class_summary.hpp"
#include "../mean.hpp"

namespace sink_study::backcopy {

namespace {

using nlohmann::ordered_json;
using records_view = std::span<const unmask::sink_record>;
using unmask::key_class;

// Calls use(layer, head) for each head of a model.
template <class Use>
void for_each_head(const unmask::sink_record& shape, const Use& use) {
    for (index_t layer = 0; layer < shape.layers; ++layer) {
        for (index_t head = 0; head < shape.heads; ++head) {
            use(layer, head);
        }
    }
}

// The classes of the report. Delimiter and marker are one class to unmask::class_shares, which knows no marker.
enum of_report : std::size_t { of_mask, of_delimiter, of_marker, of_content, of_extra, of_own, report_classes };
constexpr std::array<const char*, report_classes> class_names = {"mask",    "delimiter", "marker",
                                                                 "content", "extra",     "own"};

std::array<unmask::class_share, report_classes> shares_in(const unmask::sink_record& record, index_t layer,
                                                          index_t head) {
    const std::array<token_t, 2> both = {delimiter, copy_marker};
    const auto of = [&](std::span<const token_t> tokens) {
        return unmask::class_shares(record, layer, head, unmask::classes_of(record, tokens));
    };
    const auto at = [](key_class which) { return static_cast<std::size_t>(which); };
    const auto all = of(both);
    std::array<unmask::class_share, report_classes> result;
    result[of_mask] = all[at(key_class::masked)];
    result[of_delimiter] = of(std::span(both).first(1))[at(key_class::delimiter)];
    result[of_marker] = of(std::span(both).last(1))[at(key_class::delimiter)];
    result[of_content] = all[at(key_class::content)];
    result[of_extra] = all[at(key_class::extra)];
    result[of_own] = unmask::own_share(record, layer, head);
    return result;
}

ordered_json shares_of(records_view records, index_t steps) {
    const index_t last = records.front().layers - 1;
    return to_json(class_summaries(records, steps, 0, last, of_content, shares_in), class_names);
}

// Mass and norm alone.
ordered_json short_shares_of(records_view records, index_t steps, index_t first_layer, index_t last_layer) {
    return to_short_json(class_summaries(records, steps, first_layer, last_layer, of_content, shares_in), class_names);
}

// Of each layer, if there are several.
ordered_json shares_by_layer(records_view records, index_t steps) {
    ordered_json result = ordered_json::array();
    const index_t layers = records.front().layers;
    for (index_t layer = 0; layers > 1 && layer < layers; ++layer) {
        result.push_back(short_shares_of(records, steps, layer, layer));
    }
    return result;
}

// The strongest key of a head in a step.
struct strongest_key {
    index_t position; // −1 for the extra sink
    double share;     // of the attention of the queries that see it
    bool content;
};

strongest_key strongest_in(const unmask::sink_record& record, index_t layer, index_t head) {
    const auto shares = unmask::received_in(record, layer, head, unmask::attention_unit::mean);
    const auto top = static_cast<std::size_t>(std::max_element(shares.begin(), shares.end()) - shares.begin());
    const std::array<token_t, 2> both = {delimiter, copy_marker};
    return {unmask::detail::position_of(record, top), shares[top],
            unmask::classes_of(record, both)[top] == key_class::content};
}

// Whether the strongest key is a sink, which kind of key it is, and how often it is another one.
ordered_json movement_of_strongest(records_view records) {
    constexpr unmask::above_share sink{}; // above 0.3
    mean gated, extra, content, change, change_without_content, shuffled, moves, moves_without_content, strength;
    for (const records_view steps : by_sequence(records)) {
        for_each_head(steps.front(), [&](index_t layer, index_t head) {
            const auto found = unmask::movement_of(steps, layer, head, sink);
            change.add(found.change_rate, static_cast<double>(found.pairs));
            if (found.pairs > 0) {
                const auto control = unmask::movement_of(unmask::shuffled(steps, 1), layer, head, sink);
                shuffled.add(control.change_rate, static_cast<double>(control.pairs));
            }
            const strongest_key* last = nullptr;
            std::array<strongest_key, 2> two{};
            for (std::size_t i = 0; i < steps.size(); ++i) {
                strongest_key& now = two[i % 2];
                now = strongest_in(steps[i], layer, head);
                const bool is_sink = now.share > sink.epsilon;
                gated.add(is_sink ? 1.0 : 0.0);
                strength.add(now.share);
                if (is_sink) {
                    extra.add(now.position < 0 ? 1.0 : 0.0);
                    content.add(now.content ? 1.0 : 0.0);
                }
                if (last != nullptr) {
                    const bool both = is_sink && last->share > sink.epsilon;
                    const bool without_content = both && !now.content && !last->content;
                    const double moved = now.position != last->position ? 1.0 : 0.0;
                    moves.add(both ? moved : 0.0);
                    moves_without_content.add(without_content ? moved : 0.0);
                    change_without_content.add(moved, without_content ? 1.0 : 0.0);
                }
                last = &now;
            }
        });
    }
    return {{"cells_with_sink", gated.json()},
            {"strongest", strength.json()},
            {"sink_is_extra", extra.json()},
            {"sink_is_content", content.json()},
            {"change_rate", change.json()},
            {"change_rate_of_shuffled_steps", shuffled.json()},
            {"change_rate_without_content", change_without_content.json()},
            {"moves", moves.json()}, // of all pairs of consecutive steps
            {"moves_without_content", moves_without_content.json()}};
}

// A mass over the steps of a sequence: its mean deviation.
template <class Mass>
ordered_json deviation_over_steps(records_view records, const Mass& mass) {
    mean result;
    for (const records_view steps : by_sequence(records)) {
        for_each_head(steps.front(), [&](index_t layer, index_t head) {
            std::vector<double> all;
            for (const unmask::sink_record& record : steps) {
                if (const double each = mass(record, layer, head); std::isfinite(each)) {
                    all.push_back(each);
                }
            }
            if (!all.empty()) {
                result.add(unmask::detail::mean_and_deviation(all).deviation);
            }
        });
    }
    return result.json();
}

index_t steps_of(records_view records) {
    index_t steps = 0;
    for (const unmask::sink_record& record : records) {
        steps = std::max(steps, record.call + 1);
    }
    return steps;
}

} // namespace

ordered_json summary_of_sinks(records_view records) {
    const ordered_json movement = movement_of_strongest(records);
    ordered_json result = {{"shares", short_shares_of(records, steps_of(records), 0, records.front().layers - 1)}};
    for (const char* number : {"cells_with_sink", "sink_is_extra", "moves", "moves_without_content"}) {
        result["movement"][number] = movement.at(number);
    }
    return result;
}

ordered_json sinks_of(records_view records) {
    const index_t steps = steps_of(records);
    mean null_sinks;
    null_sinks.add(unmask::sink_rate(records, unmask::null_sink{}));
    return {{"sequences", by_sequence(records).size()},
            {"steps", steps},
            {"shares", shares_of(records, steps)},
            {"shares_by_layer", shares_by_layer(records, steps)},
            {"movement", movement_of_strongest(records)},
            {"cells_with_null_sink", null_sinks.json()},
            {"extra_deviation_over_steps", deviation_over_steps(records, unmask::extra_mass)},
            {"mask_deviation_over_steps",
             deviation_over_steps(records, [](const auto& record, index_t layer, index_t head) {
                 return shares_in(record, layer, head)[of_mask].mass;
             })}};
}

ordered_json first_token_of(records_view records) {
    mean mass, uniform, strongest, norms;
    for (const unmask::sink_record& record : records) {
        for_each_head(record, [&](index_t layer, index_t head) {
            const auto received = unmask::received_in(record, layer, head, unmask::attention_unit::sum);
            const double queries = std::accumulate(received.begin(), received.end(), 0.0);
            mass.add(received.front() / queries);
            double even = 0.0; // the first token's share in a query that sees i keys is 1 / i
            for (index_t i = 1; i <= record.length; ++i) {
                even += 1.0 / static_cast<double>(i);
            }
            uniform.add(even / static_cast<double>(record.length));
            const auto shares = unmask::received_in(record, layer, head, unmask::attention_unit::mean);
            strongest.add(*std::max_element(shares.begin(), shares.end()) == shares.front() ? 1.0 : 0.0);
            auto of_values = unmask::value_norms_in(record, layer, head);
            const double first = of_values.front();
            of_values.erase(of_values.begin());
            norms.add(first / unmask::detail::median(of_values));
        });
    }
    return {{"mass", mass.json()},
            {"uniform", uniform.json()},
            {"over_uniform", rounded(mass.value() / uniform.value())},
            {"is_strongest", strongest.json()},
            {"value_norm", norms.json()}};
}

} // namespace sink_study::backcopy
