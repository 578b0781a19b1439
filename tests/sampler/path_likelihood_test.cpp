// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <unmask/sampler/likelihood/path_likelihood.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 10, .mask = 9, .end = 0};

trace::entry entry(index_t call, row where, token_t token, change kind = change::commit) {
    return {call, {where, token, {}, 0, kind}};
}

} // namespace

TEST_CASE("the path's probability is the sum in its trace, fills left out") {
    const sampler sampler{steps{6}, categorical{}};
    index_t filled = 0;
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        auto model = make_model(tokens, random_logits{.seed = seed});
        canvas page(tokens);
        page.add(std::vector<token_t>{1, 9, 0}, 9);
        page.add_infill(std::vector<token_t>{blank, blank, 4, blank, blank}, 77);
        page.add({}, 12);
        const canvas before = page;
        trace recorded;
        const statistics run = sampler(cpu_executor{1}, model, page, seed, recorded);
        filled += run.filled;
        std::vector<double> sums(3);
        std::vector<double> each;
        for (const auto& [call, what] : recorded.entries) {
            sums[static_cast<std::size_t>(what.where.sequence)] += what.log_probability;
            if (what.change == change::commit) {
                each.push_back(what.log_probability);
            }
        }
        const path_likelihood again = path_log_probability(cpu_executor{2}, model, before, recorded);
        CHECK(again.calls == run.calls);
        CHECK(again.of_commitment == each); // to the bit: the rows are the same
        CHECK(again.of_sequence == sums);
        CHECK(again.log_probability == (sums[0] + sums[1]) + sums[2]);
    }
    CHECK(filled > 0);
}

TEST_CASE("probabilities of all ways to fill three positions sum to 1, whatever the order and the calls") {
    const vocabulary four{.size = 4, .mask = 3};
    const random_logits logits{.seed = 11, .spread = 2, .forbidden = 0.2};
    auto model = make_model(four, logits);
    canvas before(four);
    before.add_infill(std::vector<token_t>{blank, 1, blank, blank});
    const std::vector<index_t> places{0, 2, 3};
    std::vector<std::size_t> order{0, 1, 2};
    do {
        for (const std::vector<index_t>& calls : {std::vector<index_t>{0, 1, 2}, {0, 0, 5}, {3, 4, 4}, {7, 7, 7}}) {
            double sum = 0;
            for (token_t text = 0; text < 27; ++text) {
                const std::vector<token_t> drawn{text % 3, text / 3 % 3, text / 9};
                trace path;
                double expected = 0;
                std::vector<token_t> held{3, 1, 3, 3};
                for (std::size_t i = 0; i < 3; ++i) {
                    path.entries.push_back(entry(calls[i], {0, places[order[i]]}, drawn[i]));
                    std::vector<token_t> seen = held; // as it was before the call
                    for (std::size_t j = 0; j < i; ++j) {
                        if (calls[j] < calls[i]) {
                            seen[static_cast<std::size_t>(places[order[j]])] = drawn[j];
                        }
                    }
                    double all = 0;
                    for (token_t token = 0; token < 3; ++token) {
                        all += std::exp(static_cast<double>(logits(seen, places[order[i]], token)));
                    }
                    expected += static_cast<double>(logits(seen, places[order[i]], drawn[i])) - std::log(all);
                }
                const double p = path_log_probability(cpu_executor{1}, model, before, path).log_probability;
                CHECK(std::exp(p) == doctest::Approx(std::exp(expected)).epsilon(1e-6));
                sum += std::exp(p);
            }
            CHECK(sum == doctest::Approx(1).epsilon(1e-6));
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("what has no path probability is refused, by name, before any call") {
    auto model = make_model(tokens, random_logits{});
    canvas before(tokens);
    before.add({}, 3);
    const auto refused = [&](std::vector<trace::entry> entries) {
        trace what;
        what.entries = std::move(entries);
        try {
            static_cast<void>(path_log_probability(cpu_executor{}, model, before, what));
        } catch (const invalid_argument& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    const auto good = entry(0, {0, 1}, 4);
    const std::string start = "path_log_probability: ";
    CHECK(refused({good, entry(1, {0, 1}, 9, change::remask)}) ==
          start + "change of trace.entries[1] is remask, expected commit or fill");
    CHECK(refused({good, entry(1, {0, 1}, 3, change::edit)}) ==
          start + "change of trace.entries[1] is edit, expected commit or fill");
    CHECK(refused({entry(1, {0, 1}, 3, change::renoise)}) ==
          start + "change of trace.entries[0] is renoise, expected commit or fill");
    CHECK(refused({good, good}) == start + "position of trace.entries[1] is 1, expected a masked one");
    CHECK(model.calls == 0);
    CHECK(refused({good, entry(0, {0, 2}, 4), entry(0, {0, 2}, 0, change::fill)}).empty());
    CHECK(model.calls == 1);
    CHECK(path_log_probability(cpu_executor{}, model, before, {}).log_probability == 0);

    before = canvas({.size = 10, .mask = 8, .end = 0});
    CHECK(refused({}) == start +
                             "canvas.vocabulary() is {size 10, mask 8, end 0}, expected the model's, {size 10, mask 9, "
                             "end 0}");
}

TEST_CASE("shifted logits, and a token that the model forbids") {
    const random_logits logits{.seed = 2, .forbidden = 0};
    const auto here = [&](std::span<const token_t> page, index_t position, token_t token) {
        return position == 2 && token == 5 ? -infinity : logits(page, position, token);
    };
    const auto earlier = [&](std::span<const token_t> page, index_t position, token_t token) {
        return here(page, position + 1, token);
    };
    auto model = make_model(tokens, here);
    auto shifted = make_model<true>(tokens, earlier);
    canvas before(tokens);
    before.add(std::vector<token_t>{1}, 3);
    trace what;
    what.entries = {entry(0, {0, 3}, 4), entry(1, {0, 1}, 2), entry(1, {0, 2}, 3)};
    CHECK(path_log_probability(cpu_executor{}, model, before, what).of_commitment ==
          path_log_probability(cpu_executor{}, shifted, before, what).of_commitment);
    what.entries[2].what.token = 5;
    const auto never = path_log_probability(cpu_executor{}, model, before, what);
    CHECK(never.log_probability == -std::numeric_limits<double>::infinity());
    CHECK(never.of_commitment[0] > -20);
}
