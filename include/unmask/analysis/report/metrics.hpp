// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <unmask/analysis/report/report.hpp>
#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_record.hpp>
#include <unmask/analysis/sink_strength.hpp>
#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A metric that reports show for each layer and head.
struct sink_metric {
    const char* name;    ///< its name in files
    const char* title;   ///< its title in tables
    const char* meaning; ///< a sentence that explains it
};

/// The metrics that reports show, in their order. Each is computed for one sequence and layer and for one head or the
/// mean of the layer's heads; that of a run is the mean over its sequences. Where there is nothing to measure, a metric
/// is NaN and does not count in means.
inline constexpr std::array sink_metrics{
    sink_metric{"extra_mass", "Mass on extra sinks",
                "Share of all attention that goes to extra sinks, mean over steps."},
    sink_metric{"extra_mass_deviation", "\u2026 its deviation over steps",
                "Standard deviation of that share over steps: small beside it where the extra sinks are used alike in "
                "every step."},
    sink_metric{
        "gated_share", "Steps with a sink",
        "Share of steps in which the strongest key is a sink by the definition above. Everything below counts only "
        "these steps: where attention is nearly even, the strongest key says nothing."},
    sink_metric{"strength", "Strength of the sink",
                "What the strongest key receives in these steps, in the unit of the definition."},
    sink_metric{"change_rate", "Change rate",
                "Share of steps in which the strongest key is another one than in the step before."},
    sink_metric{
        "shuffled_change_rate", "\u2026 with steps shuffled",
        "The same with the steps in a random order, a control: a strongest key that changes as often in both does "
        "not move with the steps. Movement of an untrained model is another control."},
    sink_metric{"residence", "Residence, in steps", "For how many steps in a row the strongest key stays the same."},
    sink_metric{
        "overlap", "Overlap of sinks",
        "Of the sinks of two steps that follow each other, those in both over those in either (Jaccard index)."},
    sink_metric{
        "centroid_deviation", "Spread of the centroid, in positions",
        "Standard deviation over steps of the centroid of the sinks, weighted by what they receive: the root of the "
        "temporal variance of Sink-Aware Pruning (arXiv 2602.17664). Extra sinks are at \u22121, \u22122 and so on."},
    sink_metric{
        "norm_ratio", "Value norm of sinks",
        "Mean norm of the values of sinks over the median of the positions that are none, mean over steps (One Token "
        "Is Enough, arXiv 2601.19657, equations 15 and 16)."},
    sink_metric{"extra_norm_ratio", "Value norm of extra sinks",
                "The same for extra sinks, whether they are sinks by the definition or not."}};

namespace detail {

using sink_metric_row = std::array<double, sink_metrics.size()>;

struct sink_metric_table {
    std::vector<sink_metric_row> rows; // [layers, heads + 1]: each head, then the mean of the layer's heads
    sink_metric_row summary{};         // mean over all layers and heads
};

// The mean of each metric over the rows in which it is not NaN, or NaN if there are none.
inline sink_metric_row mean_of(const std::vector<sink_metric_row>& rows) {
    sink_metric_row mean{};
    for (std::size_t i = 0; i < mean.size(); ++i) {
        double sum = 0;
        double count = 0;
        for (const sink_metric_row& row : rows) {
            if (!std::isnan(row[i])) {
                sum += row[i];
                count += 1;
            }
        }
        mean[i] = count > 0 ? sum / count : std::numeric_limits<double>::quiet_NaN();
    }
    return mean;
}

// The extra sinks in the mean of a layer's heads: their share of attention, and their norms over the median.
struct extra_of_mean {
    over_steps mass;
    double norm_ratio = 0;
};

inline extra_of_mean extra_of_heads(std::span<const sink_record> steps, index_t layer) {
    const index_t heads = steps.front().heads;
    std::vector<double> masses;
    for (const sink_record& record : steps) {
        double mass = 0;
        for (index_t head = 0; head < heads; ++head) {
            mass += extra_mass(record, layer, head) / static_cast<double>(heads);
        }
        masses.push_back(mass);
    }
    double ratio = 0;
    for (index_t head = 0; head < heads; ++head) {
        ratio += extra_norm_ratio_of(steps, layer, head) / static_cast<double>(heads);
    }
    const mean_and_deviation all(masses);
    return {{all.mean, all.deviation}, ratio};
}

inline sink_metric_row metric_row(const over_steps& extra, const sink_movement& movement, double shuffled_change_rate,
                                  double norm_ratio, double extra_norm_ratio) {
    const double rate = static_cast<double>(movement.gated) / static_cast<double>(movement.steps);
    return {extra.mean,         extra.deviation,      rate,
            movement.strength,  movement.change_rate, shuffled_change_rate,
            movement.residence, movement.overlap,     std::sqrt(movement.centroid_variance),
            norm_ratio,         extra_norm_ratio};
}

// Of one sequence: [layers, heads + 1].
template <class Definition>
std::vector<sink_metric_row> metrics_of(std::span<const sink_record> steps, const Definition& definition) {
    const std::vector<sink_record> control = shuffled(steps, 0);
    std::vector<sink_metric_row> rows;
    for (index_t layer = 0; layer < steps.front().layers; ++layer) {
        for (index_t head = 0; head < steps.front().heads; ++head) {
            rows.push_back(metric_row(extra_mass_of(steps, layer, head), movement_of(steps, layer, head, definition),
                                      movement_of(control, layer, head, definition).change_rate,
                                      value_norm_ratio_of(steps, layer, head, definition),
                                      extra_norm_ratio_of(steps, layer, head)));
        }
        const extra_of_mean extra = extra_of_heads(steps, layer);
        rows.push_back(metric_row(extra.mass, movement_of(steps, layer, definition),
                                  movement_of(control, layer, definition).change_rate,
                                  value_norm_ratio_of(steps, layer, definition), extra.norm_ratio));
    }
    return rows;
}

template <class Definition>
sink_metric_table metrics_of(const report_run& run, const Definition& definition) {
    const sink_record& shape = run.shape();
    std::vector<std::vector<sink_metric_row>> by_sequence;
    for (const std::span<const sink_record> steps : run.sequences()) {
        by_sequence.push_back(metrics_of(steps, definition));
    }
    sink_metric_table table;
    std::vector<sink_metric_row> single; // without the means of the heads
    for (std::size_t row = 0; row < by_sequence.front().size(); ++row) {
        std::vector<sink_metric_row> same;
        for (const std::vector<sink_metric_row>& rows : by_sequence) {
            same.push_back(rows[row]);
        }
        table.rows.push_back(mean_of(same));
        if (static_cast<index_t>(row) % (shape.heads + 1) < shape.heads) {
            single.push_back(table.rows.back());
        }
    }
    table.summary = mean_of(single);
    return table;
}

// The attention that the keys received from a head, or in the mean of the heads if head == record.heads.
inline std::vector<double> received_by(const sink_record& record, index_t layer, index_t head, attention_unit unit) {
    return head < record.heads ? received_in(record, layer, head, unit) : received_in(record, layer, unit);
}

template <sink_definition Definition>
std::vector<std::uint8_t> sinks_in(const sink_record& record, index_t layer, index_t head,
                                   const Definition& definition) {
    return head < record.heads ? sinks_of(record, layer, head, definition) : sinks_of(record, layer, definition);
}

// The description of a definition, or a general text for one that has none.
template <class Definition>
std::string told_of(const Definition& definition) {
    if constexpr (requires { std::string(definition.description()); }) {
        return definition.description();
    } else {
        return "Sinks: by a definition of the caller's own.";
    }
}

// The first key among those that received most.
inline index_t strongest_of(const std::vector<double>& received) {
    return std::max_element(received.begin(), received.end()) - received.begin();
}

} // namespace detail

UNMASK_NAMESPACE_END
