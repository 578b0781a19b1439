// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "expectations.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace sink_study::backcopy {

namespace {

constexpr const char* loss = "/held_out/cross_entropy";
constexpr const char* mask_late = "/sinks/shares/mask/late_over_uniform";
constexpr const char* mask_norm = "/sinks/shares/mask/value_norm";
constexpr const char* extra_mass = "/sinks/shares/extra/mass";
constexpr const char* extra_norm = "/sinks/shares/extra/value_norm";
constexpr const char* with_sink = "/sinks/movement/cells_with_sink";
constexpr const char* moves = "/sinks/movement/moves";
constexpr const char* change = "/sinks/movement/change_rate_without_content";
constexpr const char* moves_without_content = "/sinks/movement/moves_without_content";

// The eight that the pilot suggested, of one model and length.
void add_main(std::vector<expectation>& all, const std::string& suffix, const std::string& part, const cell& base) {
    const auto of = [&](const char* keys, const char* variant) {
        cell result = base;
        result.keys = keys;
        result.variant = variant;
        return result;
    };
    const auto part_or = [&](const char* name) { return part.empty() ? name : part + ", " + name; };
    const cell plain = of("visible", "none");
    const cell token = of("visible", "front");
    const cell hidden_plain = of("hidden", "none");
    const cell hidden_token = of("hidden", "front");
    all.push_back({"V1" + suffix,
                   part_or("visible"),
                   "[MASK] keys get more than twice their even share in the second half of the trajectory",
                   plain,
                   {},
                   mask_late,
                   2.0,
                   INFINITY});
    all.push_back({"V2" + suffix,
                   part_or("visible"),
                   "the values of [MASK], over those of content, are drained",
                   plain,
                   {},
                   mask_norm,
                   0.3,
                   0.5});
    all.push_back(
        {"V3" + suffix, part_or("visible"), "the extra token gets little", token, {}, extra_mass, -INFINITY, 0.15});
    all.push_back({"V4" + suffix, part_or("visible"), "the extra token does not change the loss (nats)", token, plain,
                   loss, -0.01, 0.01});
    all.push_back(
        {"H1" + suffix, part_or("hidden"), "the extra token gets most", hidden_token, {}, extra_mass, 0.55, 0.85});
    all.push_back({"H2" + suffix,
                   part_or("hidden"),
                   "its value, over those of content, is drained",
                   hidden_token,
                   {},
                   extra_norm,
                   0.15,
                   0.3});
    all.push_back({"H3" + suffix,
                   part_or("hidden"),
                   "a key above 0.3 in nearly all heads and steps",
                   hidden_token,
                   {},
                   with_sink,
                   0.95,
                   INFINITY});
    all.push_back({"H4" + suffix, part_or("hidden"), "the extra token lowers the loss (nats), by so much", hidden_token,
                   hidden_plain, loss, -0.02, -0.005});
    all.push_back({"H5" + suffix, part_or("hidden"), "the extra token lowers the loss, by whatever", hidden_token,
                   hidden_plain, loss, -INFINITY, 0.0});
}

std::vector<expectation> make_expectations() {
    std::vector<expectation> all;
    add_main(all, "", "", {});
    const cell untrained{.keys = "visible", .training = "untrained"};
    const cell causal{.keys = "causal"};
    all.push_back({"C1",
                   "control",
                   "untrained, the values of [MASK] are like those of content",
                   untrained,
                   {},
                   mask_norm,
                   0.9,
                   1.0});
    all.push_back({"C2", "control", "untrained, keys above 0.3 are rare", untrained, {}, with_sink, -INFINITY, 0.05});
    all.push_back({"C3",
                   "control",
                   "causal: the beginning token gets more than twice its even share",
                   causal,
                   {},
                   "/first_token/over_uniform",
                   2.0,
                   INFINITY});
    all.push_back({"C4",
                   "control",
                   "causal: its value, over the median of the others, is drained",
                   causal,
                   {},
                   "/first_token/value_norm",
                   -INFINITY,
                   0.5});

    const cell front{.keys = "hidden", .variant = "front"};
    int next = 1;
    for (const char* place : {"middle", "end", "random"}) {
        const cell there{.keys = "hidden", .variant = place};
        const std::string where = std::string(place) + ", compared with front: ";
        all.push_back({"P" + std::to_string(next++), "position", where + "the same loss (nats)", there, front, loss,
                       -0.01, 0.01});
        all.push_back({"P" + std::to_string(next++), "position", where + "the same attention on the token", there,
                       front, extra_mass, -0.1, 0.1});
    }
    const cell key_sink{.keys = "hidden", .variant = "key_sink"};
    all.push_back({"Z1", "value", "a key without a value, compared with front: the same loss (nats)", key_sink, front,
                   loss, -0.01, 0.01});
    all.push_back({"Z2", "value", "a key without a value, compared with front: the same attention on it", key_sink,
                   front, extra_mass, -0.1, 0.1});

    next = 1;
    for (const char* keys : {"visible", "hidden"}) {
        const cell token{.keys = keys, .variant = "front"};
        const cell plain{.keys = keys};
        const std::string where = std::string(keys) + " masks: with the token, ";
        const auto add = [&](const char* text, const char* number) {
            all.push_back(
                {"M" + std::to_string(next++), "movement", where + text, token, plain, number, -INFINITY, 0.0});
        };
        add("fewer pairs of steps in which a key above 0.3 moves", moves);
        add("the same, content left out", moves_without_content);
        add("of pairs with a key above 0.3 in both, content left out, fewer in which it is another", change);
    }
    add_main(all, "b", "2x2", {.model = "2x2"});
    add_main(all, "c", "length 128", {.length = 128});
    return all;
}

} // namespace

std::string expectation::bounds() const {
    char buffer[64];
    if (std::isinf(high)) {
        std::snprintf(buffer, sizeof buffer, "> %g", low);
    } else if (std::isinf(low)) {
        std::snprintf(buffer, sizeof buffer, "< %g", high);
    } else {
        std::snprintf(buffer, sizeof buffer, "%g … %g", low, high);
    }
    return buffer;
}

const std::vector<expectation>& registered_expectations() {
    static const std::vector<expectation> all = make_expectations();
    return all;
}

estimate number_of(const expectation& which, const results_folder& results) {
    return which.less ? results.difference(which.of, *which.less, which.number)
                      : results.number(which.of, which.number);
}

std::string verdict_of(const expectation& which, const estimate& number) {
    const auto outside = [&](double value) { return !(value > which.low && value < which.high); };
    const std::size_t seeds = number.values.size();
    if (seeds == 0) {
        return "no number";
    }
    if (seeds < registered_seeds().size()) {
        return "undecided";
    }
    const double from = number.mean() - number.half_width();
    const double to = number.mean() + number.half_width();
    const auto far = std::count_if(number.values.begin(), number.values.end(), outside);
    if (2 * far > std::ssize(number.values) || to <= which.low || from >= which.high) {
        return "failed";
    }
    return outside(from) || outside(to) ? "undecided" : "held";
}

std::string table_of_expectations() {
    std::string table = "| | | expectation | cell | bounds |\n|---|---|---|---|---|\n";
    for (const expectation& each : registered_expectations()) {
        table += "| " + each.id + " | " + each.part + " | " + each.text + " | `" + each.of.name() + "`" +
                 (each.less ? " − `" + each.less->name() + "`" : "") + " | " + each.bounds() + " |\n";
    }
    return table;
}

} // namespace sink_study::backcopy
