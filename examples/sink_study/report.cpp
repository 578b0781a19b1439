// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "report.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "exact_facts.hpp"

namespace sink_study {

namespace {

constexpr const char* bits = "/held_out/bits";
constexpr double negligible = 0.02; // bits a character

std::string sinks(const std::string& number) {
    return "/sinks/" + number;
}

// A number of the strongest key's movement, where it is a sink: column sum 3 above the mean of the others.
std::string moving(const std::string& number) {
    return sinks("movement/sum_3_above_others/" + number);
}

std::string verdict_of_difference(const estimate& difference, double wanted_sign) {
    if (difference.values.size() < 2) {
        return "not enough seeds yet";
    }
    const double low = difference.mean() - difference.half_width();
    const double high = difference.mean() + difference.half_width();
    if (low <= 0.0 && high >= 0.0) {
        return "not reproduced at this scale";
    }
    return difference.mean() * wanted_sign > 0.0 ? "reproduced" : "contradicted";
}

std::string verdict_of_equality(const std::vector<estimate>& differences) {
    bool inside = true;
    for (const estimate& each : differences) {
        if (each.values.size() < 2) {
            return "not enough seeds yet";
        }
        if (std::abs(each.mean()) - each.half_width() > negligible) {
            return "contradicted";
        }
        inside = inside && std::abs(each.mean()) + each.half_width() <= negligible;
    }
    return inside ? "reproduced" : "undecided: the seeds differ by more than the claim allows";
}

// A number less a constant.
estimate minus(estimate a, double constant) {
    for (double& each : a.values) {
        each -= constant;
    }
    return a;
}

class table {
public:
    table(std::ostream& out, std::initializer_list<std::string> titles) : out_(out) {
        row(titles);
        out_ << '|';
        for (std::size_t i = 0; i < titles.size(); ++i) {
            out_ << "---|";
        }
        out_ << '\n';
    }
    void row(std::initializer_list<std::string> cells) {
        out_ << '|';
        for (const std::string& each : cells) {
            out_ << ' ' << each << " |";
        }
        out_ << '\n';
    }

private:
    std::ostream& out_;
};

void write_claims(std::ostream& out, const study_results& results) {
    const auto text = [&](const char* variant, const std::string& number, const char* training = "usual") {
        return results.of("text", variant, number, training);
    };
    const auto bits_over = [&](const char* variant, const char* other) {
        return results.difference("text", variant, other, bits);
    };
    table claims(out, {"claim of the abstract", "the paper", "here", "verdict"});

    const estimate moves = text("none", moving("change_rate"));
    const estimate as_it_starts = text("none", moving("change_rate"), "none");
    const bool untrained_has_none =
        as_it_starts.values.empty() && !text("none", moving("heads_with_sink"), "none").values.empty();
    claims.row({"Sinks move from step to step", "Fig. 1: maps of LLaDA and Dream at steps 0 and 64; no figure",
                "share of steps in which the sink of a head is another one: " + moves.text() +
                    " (untrained model: " + as_it_starts.text() +
                    "; with shuffled steps: " + text("none", moving("change_rate_of_shuffled_steps")).text() +
                    "); trained longer: " + text("none", moving("change_rate"), "long").text() +
                    " (shuffled: " + text("none", moving("change_rate_of_shuffled_steps"), "long").text() + "); " +
                    text("none", moving("heads_with_sink")).text() + " of heads and steps have a sink (untrained: " +
                    text("none", moving("heads_with_sink"), "none").text() + ")",
                untrained_has_none
                    ? verdict_of_difference(moves, 1.0) +
                          " (that they move at all; an untrained model has no sinks to compare with)"
                    : verdict_of_difference(
                          results.difference("text", "none", "none", moving("change_rate"), "usual", "none"), 1.0)});

    const estimate norms = text("none", moving("value_norm_ratio"));
    claims.row({"Their values have low norm", "Fig. 1: about 0.3 to 0.4 of other tokens'",
                "norm of a sink's value over the median: " + norms.text() +
                    " (untrained: " + text("none", moving("value_norm_ratio"), "none").text() +
                    "); trained longer: " + text("none", moving("value_norm_ratio"), "long").text() +
                    "; that of the extra sink: " + text("front", sinks("extra_sink/value_norm_ratio")).text(),
                verdict_of_difference(minus(norms, 1.0), -1.0)});

    claims.row({"One token stabilises them", "no figure read",
                "change rate with the token: " + text("front", moving("change_rate")).text() + ", trained longer " +
                    text("front", moving("change_rate"), "long").text() + "; mass on it " +
                    text("front", sinks("extra_sink/mass")).text() + ", over steps ± " +
                    text("front", sinks("extra_sink/deviation_over_steps")).text() + "; it is the strongest key in " +
                    text("front", sinks("extra_sink/is_strongest_key")).text() + " of heads and steps (untrained: " +
                    text("front", sinks("extra_sink/is_strongest_key"), "none").text() + ")",
                verdict_of_difference(results.difference("text", "front", "none", moving("change_rate")), -1.0)});

    claims.row(
        {"Its position does not matter", "Table 3: front and end within 2 points",
         "bits a character, over front: middle " + bits_over("middle", "front").text() + ", end " +
             bits_over("end", "front").text() + ", random " + bits_over("random", "front").text(),
         verdict_of_equality({bits_over("middle", "front"), bits_over("end", "front"), bits_over("random", "front")})});

    claims.row({"Its content is negligible", "Table 5: a zero value is as good, within 1 point",
                "bits a character, without value over with value: " + bits_over("key_sink", "key_value_sink").text(),
                verdict_of_equality({bits_over("key_sink", "key_value_sink")})});

    claims.row({"One is enough", "Table 4: 2 and 4 tokens within 1 point of 1",
                "bits a character, over one: two " + bits_over("front_2", "front").text() + ", four " +
                    bits_over("front_4", "front").text(),
                verdict_of_equality({bits_over("front_2", "front"), bits_over("front_4", "front")})});

    claims.row({"Performance improves", "Tables 1 and 2: up to +13.7 points, with regressions on single tasks",
                "bits a character, with the token over without: " + bits_over("front", "none").text() +
                    "; trained longer: " + results.difference("text", "front", "none", bits, "long", "long").text() +
                    "; retrieval, exact match: " +
                    results.difference("retrieval", "front", "none", "/held_out/exact_match").text(),
                verdict_of_difference(bits_over("front", "none"), -1.0)});

    claims.row({"In blocks (not in the paper)", "–",
                "bits a character, with the token over without: " + bits_over("block_front", "block").text() +
                    "; change rate " + text("block", moving("change_rate")).text() + " without, " +
                    text("block_front", moving("change_rate")).text() + " with; mass on it " +
                    text("block_front", sinks("extra_sink/mass")).text(),
                verdict_of_difference(bits_over("block_front", "block"), -1.0) + " (that it improves)"});
}

void write_models(std::ostream& out, const study_results& results, const std::string& task) {
    const bool text = task == "text";
    table models(out, {"model", "seeds", text ? "held-out bits a character" : "exact match", "mass on the extra sink",
                       "its deviation over steps", "heads and steps with a sink", "change rate", "sink's value norm",
                       "alikeness before the first and after the last layer"});
    const auto row = [&](const std::string& variant, const std::string& training) {
        const auto of = [&](const std::string& number) { return results.of(task, variant, number, training); };
        const estimate quality = of(text ? bits : "/held_out/exact_match");
        if (quality.values.empty()) {
            return;
        }
        const std::string named = training == "usual" ? "" : training == "none" ? ", untrained" : ", longer";
        models.row({"`" + variant + "`" + named, std::to_string(quality.values.size()), quality.text(),
                    of(sinks("extra_sink/mass")).text(), of(sinks("extra_sink/deviation_over_steps")).text(),
                    of(moving("heads_with_sink")).text(), of(moving("change_rate")).text(),
                    of(moving("value_norm_ratio")).text(2),
                    of(sinks("similarity_by_layer/0")).text(2) + ", " + of(sinks("similarity_by_layer")).text(2)});
    };
    for (const std::string training : {"usual", "long", "none"}) {
        for (const std::string& variant : variant_names()) {
            row(variant, training);
        }
    }
}

// The same text in byte pairs: where the attention of masked positions goes.
void write_byte_pairs(std::ostream& out, const study_results& results) {
    table numbers(out, {"", "`none`", "`front`", "`front` less `none`", "`none`, untrained", "`front`, untrained"});
    const auto row = [&](const char* what, const std::string& number, bool of_token = false) {
        const auto of = [&](const char* variant, const char* training) {
            return results.of("byte_pairs", variant, number, training).interval();
        };
        const std::string difference = results.difference("byte_pairs", "front", "none", number).interval();
        numbers.row({what, of_token ? "–" : of("none", "usual"), of("front", "usual"), of_token ? "–" : difference,
                     of_token ? "–" : of("none", "none"), of("front", "none")});
    };
    const auto share = [](const char* name, const char* number) {
        return sinks(std::string("class_shares/") + name + "/" + number);
    };
    row("held-out bits a character", bits);
    row("[MASK] keys get, in the first quarter of the steps", share("mask", "by_quarter/0"));
    row("in the last", share("mask", "by_quarter/3"));
    row("over the even share, in the second half", share("mask", "late_over_uniform"));
    row("norm of their values, over content's", share("mask", "value_norm"));
    row("punctuation gets", share("delimiter", "mass"));
    row("over the even share, in the second half", share("delimiter", "late_over_uniform"));
    row("norm of its values", share("delimiter", "value_norm"));
    row("a position gives itself", share("own", "mass"));
    row("the token gets", share("extra", "mass"), true);
    row("over the even share, in the second half", share("extra", "late_over_uniform"), true);
    row("norm of its value", share("extra", "value_norm"), true);
    row("the token is the strongest key", sinks("extra_sink/is_strongest_key"), true);
    row("heads and steps with a sink", moving("heads_with_sink"));
    row("the sink is another key in the next step", moving("change_rate"));
    row("with shuffled steps", moving("change_rate_of_shuffled_steps"));
    row("norm of the sink's value, over the median", moving("value_norm_ratio"));
    row("heads and steps with a key above 0.3", sinks("movement/mean_above_0.3/heads_with_sink"));
    row("it is another one in the next step", sinks("movement/mean_above_0.3/change_rate"));
    row("with shuffled steps", sinks("movement/mean_above_0.3/change_rate_of_shuffled_steps"));
}

void write_facts(std::ostream& out) {
    table facts(out, {"exactly true of any model with the token", "largest difference measured"});
    for (const exact_fact& each : exact_facts()) {
        char difference[64];
        std::snprintf(difference, sizeof difference,
                      each.largest_difference == 0.0 ? "none: the same bits" : "%.0e of the largest number",
                      each.largest_difference);
        facts.row({each.what, difference});
    }
}

} // namespace

void write_report(std::ostream& out, const study_results& results) {
    out << "From " << results.size() << " of " << all_jobs().size()
        << " runs. Mean ± standard deviation over seeds. A sink is the strongest key of a head, if its column sum is 3 "
           "above the mean of the others.\n\n";
    write_claims(out, results);
    out << '\n';
    write_facts(out);
    out << "\nNatural text:\n\n";
    write_models(out, results, "text");
    out << "\nRetrieval:\n\n";
    write_models(out, results, "retrieval");
    out << "\nNatural text in byte pairs, 512 at a time; ± is half of the 95 % interval over seeds, paired for "
           "differences. Shares are of the attention of masked positions, the rest of that of all:\n\n";
    write_byte_pairs(out, results);
}

} // namespace sink_study
