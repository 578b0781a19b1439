// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The back-copy task, its models, and what is measured on them.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include <unmask/analysis/key_class.hpp>
#include <unmask/analysis/sink_strength.hpp>

#include "expectations.hpp"
#include "measure.hpp"
#include "models.hpp"
#include "results.hpp"
#include "run.hpp"
#include "test_gradient_check.hpp"

using namespace sink_study;
using namespace sink_study::backcopy;

namespace {

const backcopy::size tiny = backcopy::size_of("tiny");

std::vector<job> one_of_each() {
    std::vector<job> jobs;
    for (const cell& each : registered_cells()) {
        if (each.training == "trained") {
            jobs.push_back({each, 1});
        }
    }
    return jobs;
}

// The records of an untrained model, and its weights.
template <class Use>
void with_records(const job& which, const Use& use) {
    const model_shape shape = shape_of(which.of, 16, 16);
    with_model(which, shape, 16, [&](const auto& model) {
        auto weights = large_weights(model, weight_draw::by_name);
        use(model, weights, trace_of(model, weights, {.sequences = 3, .length = 16, .steps = 4}));
    });
}

} // namespace

TEST_CASE("a back-copy sequence says again, behind the marker, what is before it") {
    index_t markers = 0;
    index_t positions = 0;
    std::set<token_t> seen;
    for (std::uint64_t number = 0; number < 2000; ++number) {
        const index_t length = number % 2 == 0 ? 64 : 128;
        const auto tokens = make_backcopy(length, 7, number);
        CHECK(tokens == make_backcopy(length, 7, number));
        REQUIRE(std::ssize(tokens) == length);
        const auto delimiters = std::count(tokens.begin(), tokens.end(), delimiter);
        CHECK((delimiters >= 1 && delimiters <= 2));
        long broken = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            seen.insert(tokens[i]);
            if (tokens[i] == copy_marker) {
                ++markers;
                const bool inside = i > 0 && i + 1 < tokens.size();
                broken += inside && tokens[i - 1] < content_symbols && tokens[i + 1] == tokens[i - 1] ? 0 : 1;
            }
        }
        CHECK(broken == 0);
        positions += length;
    }
    CHECK(std::ssize(seen) == backcopy_vocabulary);
    // Behind a content symbol with probability 0.15: about one position in nine.
    CHECK(static_cast<double>(markers) / static_cast<double>(positions) == doctest::Approx(0.11).epsilon(0.1));
    CHECK(backcopy_tokens(3, 64, 7, 5) != backcopy_tokens(3, 64, 8, 5));
}

TEST_CASE("the chain is a sparse one") {
    const backcopy_chain chain;
    double largest = 0.0;
    for (token_t from = 0; from < content_symbols; ++from) {
        double sum = 0.0;
        double most = 0.0;
        for (token_t to = 0; to < content_symbols; ++to) {
            CHECK(chain.probability(from, to) >= 0.0);
            sum += chain.probability(from, to);
            most = std::max(most, chain.probability(from, to));
        }
        CHECK(sum == doctest::Approx(1.0));
        largest += most / content_symbols;
    }
    // The mean of the largest of 32 numbers of Dirichlet(0.15) is about 0.41.
    CHECK(largest > 0.3);
    CHECK(largest < 0.5);
    std::array<int, content_symbols> counts{};
    for (int i = 0; i < 20000; ++i) {
        ++counts[static_cast<std::size_t>(chain.next(3, (i + 0.5) / 20000))];
    }
    for (token_t to = 0; to < content_symbols; ++to) {
        CHECK(std::abs(counts[static_cast<std::size_t>(to)] / 20000.0 - chain.probability(3, to)) < 1e-3);
    }
}

TEST_CASE("gradients of every model agree with central differences") {
    for (const job& each : one_of_each()) {
        if (each.of.length != 64) {
            continue; // the same models
        }
        CAPTURE(each.name());
        const model_shape shape = shape_of(each.of, 16, 16);
        with_model(each, shape, 16, [&](const auto& model) {
            const auto batch = batch_of(each,
                                        {.name = "",
                                         .width = 16,
                                         .ffn = 16,
                                         .tokens = 32,
                                         .steps = 0,
                                         .causal_steps = 0,
                                         .held_out = 0,
                                         .traced = 0,
                                         .trajectory = 0,
                                         .length_divisor = 4},
                                        5);
            check_gradients(model, large_weights(model, weight_draw::by_name), batch, 2);
            if (each.of.keys == "hidden") { // where nothing can be seen but a sink
                auto all_masked = batch;
                std::fill_n(all_masked.tokens.begin(), 16, backcopy_vocabulary);
                std::fill_n(all_masked.weights.begin(), 16, 1.0F / 32);
                check_gradients(model, large_weights(model, weight_draw::by_name), all_masked, 2);
            }
        });
    }
}

TEST_CASE("without mixing, the places of a model's weights are what they were") {
    model_shape shape{.vocabulary = 7, .width = 8, .layers = 1, .heads = 1, .ffn = 8};
    const auto plain = places_of<unmask::no_sink>(shape, 0);
    shape.mixes_neighbours = true;
    const auto mixing = places_of<unmask::no_sink>(shape, 0);
    CHECK(mixing.size() == plain.size() + 2);
    CHECK(size_of(mixing) == size_of(plain) + 2 * 8 * 8);
    CHECK(std::none_of(plain.begin(), plain.end(), [](const auto& each) { return each.name == "left_neighbour"; }));
}

TEST_CASE("a position hears its neighbours, and no further, where attention is given away") {
    const model_shape shape{.vocabulary = 7, .width = 8, .layers = 1, .heads = 1, .ffn = 8, .mixes_neighbours = true};
    const transformer<unmask::bidirectional> model(shape);
    auto weights = large_weights(model, weight_draw::by_name);
    for (const tensor_place& place : model.places()) {
        if (place.name.ends_with("attention_output")) {
            std::fill_n(weights.begin() + place.offset, place.size(), 0.0F);
        }
    }
    workspace work = model.make_workspace(2, 6);
    const auto logits_of = [&](std::vector<token_t> tokens) {
        model.forward(cpu_layers{{1}}, model.bound(weights.data()), tokens, work);
        return std::vector<float>(work.logits.data, work.logits.data + work.logits.size());
    };
    const std::vector<token_t> tokens = {0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1};
    // Which rows another last symbol of the first sequence changes.
    const auto changed = [&] {
        const auto before = logits_of(tokens);
        auto others = tokens;
        others[5] = 0;
        const auto after = logits_of(others);
        std::vector<std::ptrdiff_t> rows;
        for (std::ptrdiff_t row = 0; row < 12; ++row) {
            const auto begin = before.begin() + row * 7;
            if (!std::equal(begin, begin + 7, after.begin() + row * 7)) {
                rows.push_back(row);
            }
        }
        return rows;
    };
    CHECK(changed() == std::vector<std::ptrdiff_t>{4, 5});
    for (const tensor_place& place : model.places()) {
        if (place.name == "right_neighbour") {
            std::fill_n(weights.begin() + place.offset, place.size(), 0.0F);
        }
    }
    CHECK(changed() == std::vector<std::ptrdiff_t>{5});
}

TEST_CASE("hidden masks: what stands at a masked position does not matter to others") {
    for (const char* variant : {"none", "front", "middle", "key_sink", "logit", "off_by_one"}) {
        CAPTURE(variant);
        const job which{{.keys = "hidden", .variant = variant}, 1};
        model_shape shape = shape_of(which.of, 16, 16);
        shape.mixes_neighbours = false; // which would tell
        with_model(which, shape, 8, [&](const auto& model) {
            auto weights = large_weights(model, weight_draw::by_name);
            workspace work = model.make_workspace(2, 8);
            std::vector<token_t> tokens = {0, 34, 2, 3, 34, 34, 6, 7, 34, 1, 2, 34, 4, 5, 6, 34};
            model.forward(cpu_layers{{1}}, model.bound(weights.data()), tokens, work);
            const std::vector<float> logits(work.logits.data, work.logits.data + work.logits.size());
            for (const tensor_place& place : model.places()) { // another embedding of the mask
                if (place.name == "embedding") {
                    weights[static_cast<std::size_t>(place.offset + 34 * 16)] += 1.0F;
                }
            }
            model.forward(cpu_layers{{1}}, model.bound(weights.data()), tokens, work);
            for (std::size_t row = 0; row < tokens.size(); ++row) {
                const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * 34);
                CHECK(std::equal(begin, begin + 34, work.logits.pointer(static_cast<index_t>(row))) ==
                      (tokens[row] != 34));
            }
        });
    }
}

TEST_CASE("records are of masked queries: every column sum, and what they give to themselves") {
    for (const job& each : one_of_each()) {
        if (each.of.keys == "causal") {
            continue;
        }
        CAPTURE(each.name());
        with_records(each, [&](const auto& model, auto& weights, const auto& records) {
            REQUIRE(records.size() == 12); // 3 sequences, 4 steps
            for (const unmask::sink_record& record : records) {
                const auto masked = std::count(record.masked.begin(), record.masked.end(), 1);
                CHECK(masked == 12 - 3 * record.call);
                const bool hidden = each.of.keys == "hidden";
                for (index_t layer = 0; layer < record.layers; ++layer) {
                    for (index_t head = 0; head < record.heads; ++head) {
                        const auto received = record.received_of(layer, head);
                        const double all = std::accumulate(received.begin(), received.end(), 0.0);
                        CHECK(all == doctest::Approx(static_cast<double>(masked)).epsilon(1e-4));
                        const auto own = unmask::own_share(record, layer, head);
                        CHECK((hidden ? own.mass == 0.0 : own.mass > 0.0));
                        if (!hidden) {
                            CHECK(own.uniform == doctest::Approx(1.0 / static_cast<double>(record.keys())));
                        }
                        for (std::size_t key = 0; key < record.masked.size(); ++key) {
                            CHECK((received[key] == 0.0F) == (hidden && record.masked[key] != 0));
                            CHECK(record.own_of(layer, head)[key] <= received[key] + 1e-5F);
                        }
                    }
                }
            }
            CHECK(model.parameters() == std::ssize(weights));
        });
    }
}

TEST_CASE("uniform attention gives each class its share of the keys, and no sink") {
    for (const char* keys : {"visible", "hidden"}) {
        const auto result = run_job({{.keys = keys, .variant = "front", .training = "uniform"}, 1}, tiny);
        const auto& shares = result.at("sinks").at("shares");
        for (const char* which : {"mask", "content", "extra", "marker", "delimiter"}) {
            CAPTURE(which);
            for (std::size_t quarter = 0; quarter < 4; ++quarter) {
                const auto& mass = shares.at(which).at("by_quarter").at(quarter);
                CHECK(mass.template get<double>() ==
                      doctest::Approx(shares.at(which).at("uniform").at(quarter).template get<double>()).epsilon(1e-3));
            }
        }
        CHECK(result.at("sinks").at("movement").at("moves") == 0.0);
    }
}

TEST_CASE("the shares of the classes are all there is, and hidden masks get nothing") {
    for (const job& each : one_of_each()) {
        if (each.of.keys == "causal") {
            continue;
        }
        CAPTURE(each.name());
        const auto result = run_job(each, tiny);
        const auto& shares = result.at("sinks").at("shares");
        for (std::size_t quarter = 0; quarter < 4; ++quarter) {
            double mass = 0.0;
            double even = 0.0;
            for (const char* which : {"mask", "delimiter", "marker", "content", "extra"}) {
                mass += shares.at(which).at("by_quarter").at(quarter).template get<double>();
                even += shares.at(which).at("uniform").at(quarter).template get<double>();
            }
            CHECK(mass == doctest::Approx(1.0).epsilon(1e-4));
            CHECK(even == doctest::Approx(1.0).epsilon(1e-4));
        }
        const bool hidden = each.of.keys == "hidden";
        CHECK((shares.at("mask").at("mass") == 0.0) == hidden);
        CHECK((shares.at("own").at("mass") == 0.0) == hidden);
        const bool extra = each.of.variant != "none" && each.of.variant != "gate";
        CHECK((shares.at("extra").at("mass") > 0.0) == extra);
    }
}

TEST_CASE("filled in with its own text, a sequence becomes what it was, in another order") {
    const job which{{.variant = "front"}, 1};
    with_model(which, shape_of(which.of, 16, 16), 16, [&](const auto& model) {
        auto weights = large_weights(model, weight_draw::by_name);
        const auto records = trace_of(model, weights, {.sequences = 3, .length = 16, .steps = 4, .own_text = true});
        REQUIRE(records.size() == 12);
        std::set<index_t> first_filled;
        for (const unmask::sink_record& record : records) {
            const auto tokens = held_out_sequence(record.sequence, 16);
            for (std::size_t i = 0; i < 16; ++i) {
                const bool open = record.call < 3 && record.tokens[i] == backcopy_vocabulary;
                CHECK((open || record.tokens[i] == tokens[i]));
                if (record.call == 0 && record.masked[i] != 0 && !open) {
                    first_filled.insert(static_cast<index_t>(i));
                }
            }
        }
        CHECK(first_filled.size() > 3); // not the same three in all
    });
}

TEST_CASE("what is measured of moving sinks is what the records say") {
    // One layer, one head, three keys: tokens 0, Q, 1; the last is masked in step 0 alone.
    const auto record = [](index_t call, std::vector<float> received, std::uint8_t masked) {
        unmask::sink_record result{.call = call, .sequence = 0, .layers = 1, .heads = 1, .kv_heads = 1, .length = 3};
        result.received = std::move(received);
        result.seen_by = {10, 10, 10};
        result.value_norms = {2.0F, 1.0F, 0.5F};
        result.own = {0.0F, 0.0F, 0.5F};
        result.masked = {0, 0, masked};
        result.tokens = {0, copy_marker, 1};
        return result;
    };
    const std::vector<unmask::sink_record> records = {record(0, {1, 2, 7}, 1), record(1, {1, 8, 1}, 0),
                                                      record(2, {3.5, 3.4F, 3.1F}, 0), record(3, {3, 4, 3}, 0)};
    const auto found = sinks_of(records);
    const auto& shares = found.at("shares");
    CHECK(shares.at("mask").at("by_quarter").at(0) == 0.7);
    CHECK(shares.at("mask").at("by_quarter").at(1) == 0.0);
    CHECK(shares.at("marker").at("by_quarter").at(1) == 0.8);
    CHECK(shares.at("content").at("by_quarter").at(2) == 0.66);
    CHECK(shares.at("content").at("late_over_uniform").get<double>() ==
          doctest::Approx(0.63 / (2.0 / 3)).epsilon(1e-4));
    CHECK(shares.at("mask").at("uniform").at(0).get<double>() == doctest::Approx(1.0 / 3).epsilon(1e-4));
    CHECK(shares.at("mask").at("value_norm") == 0.25);
    CHECK(shares.at("own").at("by_quarter").at(0) == 0.05);
    const auto& movement = found.at("movement");
    CHECK(movement.at("cells_with_sink") == 1.0);
    CHECK(movement.at("sink_is_content") == 0.25);
    CHECK(movement.at("change_rate") == 1.0);
    CHECK(movement.at("moves") == 1.0);
    CHECK(movement.at("change_rate_without_content") == 1.0);
    CHECK(movement.at("moves_without_content").get<double>() == doctest::Approx(1.0 / 3).epsilon(1e-4));
}

TEST_CASE("a job learns, and its sequences are not those that it is measured on") {
    for (const char* keys : {"visible", "hidden", "causal"}) {
        CAPTURE(keys);
        backcopy::size longer = tiny;
        longer.steps = longer.causal_steps = 400;
        const job which{{.keys = keys, .variant = "none"}, 1};
        job untrained = which;
        untrained.of.training = "untrained";
        const auto loss = [&](const job& each) {
            return run_job(each, longer).at("held_out").at("cross_entropy").get<double>();
        };
        CHECK(loss(which) < loss(untrained) - 0.3);
    }
    for (const std::uint32_t seed : registered_seeds()) {
        CHECK(seed != held_out_seed);
    }
}

TEST_CASE("what was registered is what is decided, by the stated rule") {
    std::ifstream file(EXPECTATIONS);
    const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    CHECK(page.find(table_of_expectations()) != std::string::npos);
    std::set<std::string> ids;
    const auto cells = registered_cells();
    for (const expectation& each : registered_expectations()) {
        CAPTURE(each.id);
        CHECK(ids.insert(each.id).second);
        CHECK(each.low < each.high);
        CHECK(std::count(cells.begin(), cells.end(), each.of) == 1);
        CHECK((!each.less || std::count(cells.begin(), cells.end(), *each.less) == 1));
    }
    const auto verdict = [](double low, double high, std::vector<double> seeds) {
        return verdict_of({"", "", "", {}, {}, "", low, high}, {std::move(seeds)});
    };
    CHECK(verdict(1, 2, {}) == "no number");
    CHECK(verdict(1, 2, {1.5, 1.5, 1.5, 1.5}) == "undecided");      // a seed is missing
    CHECK(verdict(1, 2, {1.4, 1.5, 1.6, 1.5, 1.5}) == "held");      // 1.5 ± 0.09
    CHECK(verdict(1, 2, {1.8, 1.9, 2.1, 1.9, 1.8}) == "undecided"); // 1.9 ± 0.15
    CHECK(verdict(1, 2, {1.8, 2.1, 2.1, 1.9, 2.1}) == "failed");    // outside in three
    CHECK(verdict(1, 2, {0.4, 0.5, 0.6, 0.5, 0.5}) == "failed");
    CHECK(verdict(1, 2, {1.5, 1.5, 1.5, 9.0, 9.0}) == "undecided"); // 4.5 ± 5
    CHECK(verdict(-INFINITY, 0, {0, 0, 0, 0, 0}) == "failed");      // not less
    CHECK(verdict(-INFINITY, 0, {-1, -1, -1, -1, -1}) == "held");
    CHECK(verdict(2, INFINITY, {3, 3, 3, 3, 3}) == "held");
    // Half of the interval of five: t(0.975, 4) = 2.776.
    CHECK(estimate{{1, 2, 3, 4, 5}}.half_width() == doctest::Approx(2.776 * std::sqrt(2.5 / 5)).epsilon(1e-3));
}

TEST_CASE("the registered jobs are run once, and finish what was begun") {
    const auto folder =
        (std::filesystem::temp_directory_path() / ("unmask_backcopy_" + std::to_string(getpid()))).string();
    std::set<std::string> names;
    for (const job& each : registered_jobs()) {
        names.insert(each.name());
    }
    CHECK(names.size() == registered_jobs().size());
    std::filesystem::create_directories(folder);
    const results_folder results(folder);
    const auto jobs = registered_jobs({1});
    CHECK(run_jobs(jobs, tiny, results, "", 2, [] { return true; }) == 0);
    CHECK(run_jobs({jobs[3]}, tiny, results, "", 1, [] { return false; }) == 1);
    CHECK(results.has(jobs[3]));
    CHECK(!results.has(jobs[2]));
    CHECK(run_jobs(jobs, tiny, results, "", 2, [] { return false; }) == std::ssize(jobs) - 1);
    CHECK(run_jobs(jobs, tiny, results, "", 2, [] { return false; }) == 0);
    const job again{jobs[0].of, 2};
    CHECK(run_jobs({again}, tiny, results, folder, 1, [] { return false; }) == 1);
    CHECK(std::filesystem::exists(folder + "/" + again.name() + ".safetensors"));
    const auto both = results.of(jobs[0].of);
    REQUIRE(both.size() == 2);
    CHECK(both[0].at("seed") == 1);
    CHECK(both[0].at("held_out").at("copies") > 0);
    CHECK(both[1] != both[0]);
    CHECK(results.number(jobs[0].of, "/seed").values == std::vector<double>{1.0, 2.0});
    CHECK(results.difference(jobs[0].of, jobs[1].of, "/steps").values == std::vector<double>{0.0});
    for (const expectation& each : registered_expectations()) { // what is named is there
        CAPTURE(each.id);
        const nlohmann::ordered_json::json_pointer number(each.number);
        CHECK(results.of(each.of).front().contains(number));
        CHECK((!each.less || results.of(*each.less).front().contains(number)));
        const estimate found = number_of(each, results); // there may be no key above 0.3
        CHECK(verdict_of(each, found) == (found.values.empty() ? "no number" : "undecided"));
    }
    std::filesystem::remove_all(folder);
    CHECK_THROWS_AS(backcopy::size_of("nonsense"), std::invalid_argument);
}
