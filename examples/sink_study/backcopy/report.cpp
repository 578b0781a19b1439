// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "report.hpp"

#include <array>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <vector>

#include "expectations.hpp"

namespace sink_study::backcopy {

namespace {

const std::string shares = "/sinks/shares/";
const std::string movement = "/sinks/movement/";
constexpr const char* loss = "/held_out/cross_entropy";

std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

// Mean ± half of the 95 % interval.
std::string interval(const estimate& of, int digits = 3) {
    if (of.values.empty()) {
        return "–";
    }
    return fixed(of.mean(), digits) + (of.values.size() < 2 ? "" : " ± " + fixed(of.half_width(), digits));
}

std::string row(const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const std::string& each : cells) {
        text += " " + each + " |";
    }
    return text + "\n";
}

std::string heading(const std::vector<std::string>& titles) {
    std::string text = row(titles) + "|";
    for (std::size_t i = 0; i < titles.size(); ++i) {
        text += "---|";
    }
    return text + "\n";
}

std::string verdicts_in(const results_folder& results) {
    std::string text = heading({"", "", "expectation", "bounds", "measured", "in each seed", "verdict"});
    std::map<std::string, int> counts;
    for (const expectation& each : registered_expectations()) {
        const estimate number = number_of(each, results);
        std::string seeds;
        for (const double value : number.values) {
            seeds += (seeds.empty() ? "" : ", ") + fixed(value, 3);
        }
        const std::string verdict = verdict_of(each, number);
        ++counts[verdict];
        const std::string side = number.values.empty() || verdict != "failed" ? ""
                                 : number.mean() <= each.low                  ? ": lower"
                                 : number.mean() >= each.high                 ? ": higher"
                                                                              : "";
        text += row({each.id, each.part, each.text, each.bounds(), interval(number, 4), seeds,
                     verdict == "held" ? verdict : "**" + verdict + side + "**"});
    }
    std::string sum;
    for (const auto& [verdict, count] : counts) {
        sum += (sum.empty() ? "" : ", ") + std::to_string(count) + " " + verdict;
    }
    return "Of " + std::to_string(registered_expectations().size()) + " expectations: " + sum + ".\n\n" + text;
}

// The registered cells that have results.
std::vector<cell> cells_in(const results_folder& results, bool trained, bool causal) {
    std::vector<cell> cells = registered_cells();
    std::erase_if(cells, [&](const cell& each) {
        return (each.training == "trained") != trained || (each.keys == "causal") != causal || results.of(each).empty();
    });
    return cells;
}

std::string quoted(const cell& which) {
    return "`" + which.name() + "`";
}

std::string shares_in(const results_folder& results) {
    std::string text = heading({"cell", "class", "1st quarter", "2nd", "3rd", "4th", "all", "value norm"});
    for (const cell& each : cells_in(results, true, false)) {
        std::string name = quoted(each);
        for (const char* which : {"mask", "extra", "marker", "delimiter", "content", "own"}) {
            const std::string numbers = shares + which;
            const estimate all = results.number(each, numbers + "/mass");
            if (all.values.empty() || all.mean() == 0.0) {
                continue;
            }
            std::vector<std::string> cells = {name, std::string(which) == "own" ? "own position" : which};
            for (const char* quarter : {"/0", "/1", "/2", "/3"}) {
                cells.push_back(fixed(results.number(each, numbers + "/by_quarter" + quarter).mean(), 2) + " (" +
                                fixed(results.number(each, numbers + "/uniform" + quarter).mean(), 2) + ")");
            }
            cells.push_back(interval(all));
            cells.push_back(interval(results.number(each, numbers + "/value_norm"), 2));
            text += row(cells);
            name.clear();
        }
    }
    return text;
}

std::string layers_in(const results_folder& results) {
    std::string text = heading({"cell", "layer", "mass of [MASK]", "of the extra sink", "of markers", "of content",
                                "value norm of [MASK]", "of the extra sink"});
    for (const cell& each : cells_in(results, true, false)) {
        for (int layer = 0; each.model == "2x2" && layer < 2; ++layer) {
            const auto number = [&](const std::string& name, int digits) {
                return interval(results.number(each, "/sinks/shares_by_layer/" + std::to_string(layer) + "/" + name),
                                digits);
            };
            text += row({quoted(each), std::to_string(layer + 1), number("mask/mass", 3), number("extra/mass", 3),
                         number("marker/mass", 3), number("content/mass", 3), number("mask/value_norm", 2),
                         number("extra/value_norm", 2)});
        }
    }
    return text;
}

std::string movement_in(const results_folder& results) {
    std::string text = heading({"cell", "mass of the extra sink", "its deviation over steps", "a key above 0.3",
                                "it is the extra sink", "it is content", "change rate", "of shuffled steps",
                                "without content", "moves", "without content"});
    for (const cell& each : cells_in(results, true, false)) {
        const auto number = [&](const std::string& name, int digits = 3) {
            return interval(results.number(each, name), digits);
        };
        const bool extra = each.variant != "none" && each.variant != "gate";
        text += row({quoted(each), extra ? number(shares + "extra/mass") : "–",
                     extra ? number("/sinks/extra_deviation_over_steps") : "–", number(movement + "cells_with_sink"),
                     extra ? number(movement + "sink_is_extra") : "–", number(movement + "sink_is_content"),
                     number(movement + "change_rate"), number(movement + "change_rate_of_shuffled_steps"),
                     number(movement + "change_rate_without_content"), number(movement + "moves", 4),
                     number(movement + "moves_without_content", 4)});
    }
    return text;
}

std::string quality_in(const results_folder& results) {
    std::string text = heading({"cell", "seeds", "loss, nats", "less that without a sink",
                                "less that of the token in front", "copies that are right"});
    for (const cell& each : cells_in(results, true, false)) {
        const auto less = [&](const char* variant) {
            cell other = each;
            other.variant = variant;
            return other == each ? "–" : interval(results.difference(each, other, loss), 4);
        };
        text += row({quoted(each), std::to_string(results.of(each).size()), interval(results.number(each, loss)),
                     less("none"), less("front"), interval(results.number(each, "/held_out/copied"))});
    }
    return text;
}

std::string controls_in(const results_folder& results) {
    std::string text = heading({"cell", "class", "mass", "even share, 1st to 4th quarter", "mass, 1st to 4th quarter",
                                "value norm", "a key above 0.3", "loss, nats"});
    for (const cell& each : cells_in(results, false, false)) {
        const char* which = each.variant == "front" ? "extra" : each.keys == "visible" ? "mask" : "content";
        const auto quarters = [&](const char* kind) {
            std::string list;
            for (const char* quarter : {"/0", "/1", "/2", "/3"}) {
                const estimate one = results.number(each, shares + which + "/" + kind + quarter);
                list += (list.empty() ? "" : ", ") + fixed(one.mean(), 2);
            }
            return list;
        };
        text +=
            row({quoted(each), which, interval(results.number(each, shares + which + "/mass")), quarters("uniform"),
                 quarters("by_quarter"), interval(results.number(each, shares + which + "/value_norm"), 2),
                 interval(results.number(each, movement + "cells_with_sink")), interval(results.number(each, loss))});
    }
    return text;
}

std::string causal_in(const results_folder& results) {
    std::string text = heading({"cell", "mass of the beginning token", "even share", "value norm over the median",
                                "loss, nats", "copies that are right"});
    for (const bool trained : {true, false}) {
        for (const cell& each : cells_in(results, trained, true)) {
            const auto number = [&](const char* name) {
                return interval(results.number(each, std::string("/first_token/") + name));
            };
            text += row({quoted(each), number("mass"), fixed(results.number(each, "/first_token/uniform").mean(), 3),
                         number("value_norm"), interval(results.number(each, loss)),
                         interval(results.number(each, "/held_out/copied"))});
        }
    }
    return text;
}

std::string own_text_in(const results_folder& results) {
    std::string text = heading({"cell", "mass of [MASK]", "of the extra sink", "of markers", "value norm of [MASK]",
                                "of the extra sink", "a key above 0.3", "moves", "without content"});
    for (const cell& each : cells_in(results, true, false)) {
        const auto number = [&](const std::string& name, int digits) {
            return interval(results.number(each, "/sinks_in_own_text/" + name), digits);
        };
        text += row({quoted(each), number("shares/mask/mass", 3), number("shares/extra/mass", 3),
                     number("shares/marker/mass", 3), number("shares/mask/value_norm", 2),
                     number("shares/extra/value_norm", 2), number("movement/cells_with_sink", 3),
                     number("movement/moves", 4), number("movement/moves_without_content", 4)});
    }
    return text;
}

} // namespace

std::string report_of(const results_folder& results) {
    std::size_t runs = 0;
    std::string missing;
    for (const cell& each : registered_cells()) {
        const std::size_t seeds = results.of(each).size();
        runs += seeds;
        if (seeds < registered_seeds().size()) {
            missing += (missing.empty() ? "" : ", ") + quoted(each);
        }
    }
    return "# The back-copy grid\n\nWritten by `sink_study --backcopy --report` from " + std::to_string(runs) + " of " +
           std::to_string(registered_jobs().size()) +
           " runs. Numbers are mean ± half of the 95 % interval (Student's t) over seeds. "
           "[EXPECTATIONS.md](../backcopy/EXPECTATIONS.md) says what each means, and was there before.\n\n" +
           (missing.empty()
                ? ""
                : "Cells without all of their seeds, which `sink_study --backcopy --run` runs: " + missing + ".\n\n") +
           "## Expectations\n\n" + verdicts_in(results) +
           "\n## Where attention goes\n\nMass of each class by quarter of the trajectory, its even share in "
           "parentheses; "
           "values over those of content. Classes that get nothing are left out; own position is part of the "
           "others.\n\n" +
           shares_in(results) + "\nLayer by layer, where there are two:\n\n" + layers_in(results) +
           "\n## Sinks and their movement\n\n" + movement_in(results) +
           "\n## Loss and accuracy\n\nDifferences are of models with the same seed.\n\n" + quality_in(results) +
           "\n## Controls\n\nUntrained models, and untrained ones whose queries are zero, so that attention is "
           "even.\n\n" +
           controls_in(results) +
           "\nThe causal model, of a beginning token and the text; queries are all positions.\n\n" +
           causal_in(results) +
           "\n## Filled in with their own text\n\nThe symbols that were there, in a random order, instead of the "
           "model's.\n\n" +
           own_text_in(results);
}

} // namespace sink_study::backcopy
