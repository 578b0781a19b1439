// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "sinks.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <numeric>
#include <span>
#include <utility>

#include <unmask/analysis/sink_definition.hpp>
#include <unmask/analysis/sink_movement.hpp>
#include <unmask/analysis/sink_strength.hpp>
#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/random/philox.hpp>

namespace pretrained {

namespace {

using unmask::key_class;
using unmask::sink_record;

// A text as a model sees it with some frame.
struct framed_text {
    std::vector<token_t> tokens;
    std::vector<index_t> positions;
    std::size_t text_begin; ///< the text's tokens
    std::size_t text_end;
};

framed_text with_frame(std::vector<token_t> tokens, frame which) {
    framed_text result{std::move(tokens), {}, 0, 0};
    result.positions = positions_from_0(result.tokens.size());
    result.text_begin = 1;
    result.text_end = result.tokens.size() - 1;
    if (which == frame::deleted) {
        result.tokens = {result.tokens.begin() + 1, result.tokens.end() - 1};
        result.positions = {result.positions.begin() + 1, result.positions.end() - 1};
    } else if (which == frame::added) {
        result.tokens.insert(result.tokens.begin(), result.tokens.front());
        result.positions.insert(result.positions.begin(), 0);
    }
    const std::ptrdiff_t moved = which == frame::deleted ? -1 : which == frame::added ? 1 : 0;
    result.text_begin = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(result.text_begin) + moved);
    result.text_end = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(result.text_end) + moved);
    return result;
}

// The step after which each of the text's tokens is shown: a random order, the same for every frame.
std::vector<index_t> steps_of(std::size_t length, index_t steps, std::uint32_t seed, std::uint32_t number) {
    const unmask::philox generator{{seed, 0x73696e6bU}};
    std::vector<std::pair<std::uint32_t, std::size_t>> order;
    for (std::size_t i = 0; i < length; ++i) {
        order.emplace_back(generator({static_cast<std::uint32_t>(i), number, 0, 0})[0], i);
    }
    std::sort(order.begin(), order.end());
    std::vector<index_t> result(length);
    for (std::size_t rank = 0; rank < length; ++rank) {
        result[order[rank].second] = static_cast<index_t>(rank) * (steps - 1) / static_cast<index_t>(length);
    }
    return result;
}

// One text with one frame.
struct traced_text {
    std::vector<sink_record> records;
    std::vector<std::vector<key_class>> classes; ///< of each record's keys
    std::vector<double> mean_row;                ///< of the finished text
};

template <class Mask>
traced_text trace(encoder<>& model, const tokenizer& tokens, const framed_text& text, const Mask& mask, index_t steps,
                  const std::vector<index_t>& shown_after) {
    const unmask::cpu_executor one{1};
    constexpr index_t sequence = 0;
    const std::size_t sinks = std::is_same_v<Mask, unmask::bidirectional> ? 0 : 1; // they stand first
    traced_text result;
    unmask::sink_tracker tracker;
    for (index_t step = 0; step < steps; ++step) {
        std::vector<token_t> now = text.tokens;
        for (std::size_t i = text.text_begin; i < text.text_end; ++i) {
            now[i] = shown_after[i - text.text_begin] < step ? now[i] : tokens.mask();
        }
        const auto watch = [&](index_t layer, const auto& tensors, const auto& seen_mask, const auto& sink) {
            tracker.attention(one, layer, std::span(&sequence, 1), tensors, seen_mask, sink);
        };
        const auto rows = model.forward(one, now, text.positions, mask, no_sinks{}, watch);
        tracker.end_call();
        std::vector<key_class> classes;
        for (std::size_t i = sinks; i < now.size(); ++i) {
            const bool inside = i >= text.text_begin && i < text.text_end;
            classes.push_back(!inside                   ? key_class::delimiter
                              : now[i] == tokens.mask() ? key_class::masked
                                                        : key_class::content);
        }
        classes.insert(classes.end(), sinks, key_class::extra);
        result.classes.push_back(std::move(classes));
        if (step + 1 == steps) {
            result.mean_row.assign(static_cast<std::size_t>(rows.extents[1]), 0.0);
            for (std::size_t i = text.text_begin; i < text.text_end; ++i) {
                for (index_t k = 0; k < rows.extents[1]; ++k) {
                    result.mean_row[static_cast<std::size_t>(k)] += static_cast<double>(rows(i, k));
                }
            }
        }
    }
    result.records.assign(tracker.records().begin(), tracker.records().end());
    for (std::size_t step = 0; step < result.records.size(); ++step) { // for the page
        sink_record& record = result.records[step];
        for (std::size_t i = sinks; i < text.tokens.size(); ++i) {
            record.tokens.push_back(text.tokens[i]);
            record.masked.push_back(result.classes[step][i - sinks] == key_class::masked ? 1 : 0);
        }
    }
    return result;
}

traced_text trace(encoder<>& model, const tokenizer& tokens, const std::vector<token_t>& text, frame which,
                  index_t steps, const std::vector<index_t>& shown_after) {
    const framed_text framed = with_frame(text, which);
    if (which == frame::kept || which == frame::deleted) {
        return trace(model, tokens, framed, unmask::bidirectional{}, steps, shown_after);
    }
    const unmask::extra_sink<unmask::bidirectional> mask{.inner = {}, .position = 0, .count = 1};
    return trace(model, tokens, framed, mask, steps, shown_after);
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
    const auto dot = [](const std::vector<double>& x, const std::vector<double>& y) {
        return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
    };
    return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
}

// Sums and counts of what a text says; its mean is one measurement.
struct running_mean {
    double sum = 0.0;
    double count = 0.0;

    void add(double value) {
        if (!std::isnan(value)) {
            sum += value;
            count += 1.0;
        }
    }
    [[nodiscard]] double mean() const { return count > 0.0 ? sum / count : std::numeric_limits<double>::quiet_NaN(); }
};

// What one text says: in the order of the fields of sink_measurement, but for the cosine, and then the classes.
struct text_numbers {
    std::array<running_mean, 6> numbers;
    std::array<std::array<running_mean, 3>, unmask::key_classes> classes;
    std::array<running_mean, 2> own;
};

text_numbers numbers_of(const traced_text& text, bool begins) {
    const unmask::above_others definition{3, unmask::attention_unit::sum};
    text_numbers result;
    auto& [sinks, above, null, changes, is_begin, norm] = result.numbers;
    above.add(unmask::sink_rate(text.records, unmask::above_share{0.3}));
    null.add(unmask::sink_rate(text.records, unmask::null_sink{}));
    const sink_record& shape = text.records.front();
    for (index_t layer = 0; layer < shape.layers; ++layer) {
        for (index_t head = 0; head < shape.heads; ++head) {
            const unmask::sink_movement movement = unmask::movement_of(text.records, layer, head, definition);
            sinks.add(static_cast<double>(movement.gated) / static_cast<double>(movement.steps));
            if (movement.pairs > 0) { // a pair counts once
                changes.sum += movement.change_rate * static_cast<double>(movement.pairs);
                changes.count += static_cast<double>(movement.pairs);
            }
            for (std::size_t step = 0; step < text.records.size(); ++step) {
                const sink_record& record = text.records[step];
                const auto received = unmask::received_in(record, layer, head, definition.unit);
                const auto top = std::max_element(received.begin(), received.end()) - received.begin();
                if (unmask::sinks_of(record, layer, head, definition)[static_cast<std::size_t>(top)] != 0) {
                    const auto norms = unmask::value_norms_in(record, layer, head);
                    std::vector<double> sorted(norms.begin(), norms.begin() + record.length);
                    std::nth_element(sorted.begin(), sorted.begin() + std::ssize(sorted) / 2, sorted.end());
                    norm.add(norms[static_cast<std::size_t>(top)] / sorted[sorted.size() / 2]);
                    is_begin.add(top >= record.length || (begins && top == 0) ? 1.0 : 0.0);
                }
                const auto shares = unmask::class_shares(record, layer, head, text.classes[step]);
                for (std::size_t which = 0; which < shares.size(); ++which) {
                    result.classes[which][0].add(shares[which].mass);
                    result.classes[which][1].add(shares[which].uniform);
                    result.classes[which][2].add(shares[which].value_norm);
                }
                const unmask::class_share own = unmask::own_share(record, layer, head);
                result.own[0].add(own.mass);
                result.own[1].add(own.uniform);
            }
        }
    }
    return result;
}

// The estimate over texts of one of their numbers.
template <class Number>
estimate over_texts(const std::vector<text_numbers>& texts, const Number& number) {
    std::vector<double> values;
    for (const text_numbers& text : texts) {
        if (const double value = number(text).mean(); !std::isnan(value)) {
            values.push_back(value);
        }
    }
    constexpr double none = std::numeric_limits<double>::quiet_NaN();
    return values.empty() ? estimate{none, none} : estimate_of(values);
}

} // namespace

std::vector<frame_result> measure_frames(const loaded_model& model, const unmask::cpu_executor& exec,
                                         const std::vector<std::string>& texts, index_t steps, std::uint32_t seed) {
    std::vector<frame_result> results;
    std::vector<std::vector<double>> kept(texts.size());
    std::vector<encoder<>> encoders(static_cast<std::size_t>(exec.workers()), model.make_encoder());
    for (const frame which : {frame::kept, frame::deleted, frame::self_only, frame::added}) {
        std::vector<text_numbers> numbers(texts.size());
        std::vector<double> cosines(texts.size());
        frame_result result{which, {}, {frame_names[static_cast<std::size_t>(which)], {}}};
        exec.parallel_for(std::ssize(texts), [&](index_t i, int worker) {
            const auto text = static_cast<std::size_t>(i);
            const std::vector<token_t> tokens = model.tokens.encode(texts[text]);
            const auto shown_after = steps_of(tokens.size() - 2, steps, seed, static_cast<std::uint32_t>(i));
            traced_text traced =
                trace(encoders[static_cast<std::size_t>(worker)], model.tokens, tokens, which, steps, shown_after);
            numbers[text] = numbers_of(traced, which == frame::kept || which == frame::added);
            if (which == frame::kept) {
                kept[text] = traced.mean_row;
            }
            cosines[text] = cosine(traced.mean_row, kept[text]);
            if (i == 0) {
                result.first.records = std::move(traced.records);
            }
        });
        const auto number = [&](std::size_t n) {
            return over_texts(numbers, [n](const text_numbers& text) { return text.numbers[n]; });
        };
        result.measured = {.sinks = number(0),
                           .above_share = number(1),
                           .null = number(2),
                           .changes = number(3),
                           .is_begin = number(4),
                           .value_norm = number(5),
                           .cosine = estimate_of(cosines),
                           .classes = {},
                           .own = {}};
        for (std::size_t of = 0; of < unmask::key_classes; ++of) {
            for (std::size_t n = 0; n < 3; ++n) {
                result.measured.classes[of][n] =
                    over_texts(numbers, [=](const text_numbers& text) { return text.classes[of][n]; });
            }
        }
        for (std::size_t n = 0; n < 2; ++n) {
            result.measured.own[n] = over_texts(numbers, [n](const text_numbers& text) { return text.own[n]; });
        }
        results.push_back(std::move(result));
    }
    return results;
}

std::string frames_text(const std::vector<frame_result>& results) {
    const auto shown = [](const estimate& value) {
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), " %.3f ± %.3f |", value.mean, value.error);
        return std::isnan(value.mean) ? std::string(" – |") : std::string(text.data());
    };
    std::string text = "| special tokens | with a sink | above 0.3 | … and null | sink changes | it is the begin token "
                       "| its value norm | cosine of the output |\n|---|---|---|---|---|---|---|---|\n";
    for (const auto& [which, measured, first] : results) {
        text += std::string("| ") + frame_names[static_cast<std::size_t>(which)] + " |";
        for (const estimate& each : {measured.sinks, measured.above_share, measured.null, measured.changes,
                                     measured.is_begin, measured.value_norm, measured.cosine}) {
            text += shown(each);
        }
        text += "\n";
    }
    constexpr std::array<const char*, unmask::key_classes> names = {"masked", "delimiter", "content", "extra"};
    text += "\n| special tokens | class of key | mass | even share | value norm |\n|---|---|---|---|---|\n";
    for (const auto& [which, measured, first] : results) {
        const auto begin = std::string("| ") + frame_names[static_cast<std::size_t>(which)] + " | ";
        for (std::size_t of = 0; of < unmask::key_classes; ++of) {
            if (measured.classes[of][1].mean > 0.0) {
                text += begin + names[of] + " |" + shown(measured.classes[of][0]) + shown(measured.classes[of][1]) +
                        shown(measured.classes[of][2]) + "\n";
            }
        }
        text += begin + "own position |" + shown(measured.own[0]) + shown(measured.own[1]) + " – |\n";
    }
    return text;
}

} // namespace pretrained
