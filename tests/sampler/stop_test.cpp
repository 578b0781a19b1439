// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/stop/any.hpp>
#include <unmask/sampler/stop/repetition.hpp>
#include <unmask/sampler/stop/tokens.hpp>

#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 3, .mask = 3, .end = 2};

struct place {
    position_state state;
    token_t token;
};

// All that a position can be.
const std::vector<place> places{{position_state::masked, 3},    {position_state::prompt, 0},
                                {position_state::prompt, 1},    {position_state::prompt, 2},
                                {position_state::committed, 0}, {position_state::committed, 1},
                                {position_state::committed, 2}};

canvas canvas_of(const std::vector<place>& all) {
    std::vector<token_t> given;
    for (const place& each : all) {
        given.push_back(each.state == position_state::prompt ? each.token : blank);
    }
    canvas page(tokens);
    page.add({}, 1); // another sequence, which changes nothing
    page.add_infill(given);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].state == position_state::committed) {
            page.commit(1, static_cast<index_t>(i), all[i].token);
        }
    }
    return page;
}

// Calls `check` with everything that `length` positions can be.
template <class Check>
void for_all(std::size_t length, Check check) {
    std::size_t number = 1;
    for (std::size_t i = 0; i < length; ++i) {
        number *= places.size();
    }
    for (std::size_t code = 0; code < number; ++code) {
        std::vector<place> all;
        for (std::size_t rest = code; all.size() < length; rest /= places.size()) {
            all.push_back(places[rest % places.size()]);
        }
        CAPTURE(code);
        check(all, canvas_of(all));
    }
}

std::optional<index_t> end_by_definition(const std::vector<place>& all, const std::vector<token_t>& ends) {
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool is_end = std::find(ends.begin(), ends.end(), all[i].token) != ends.end();
        bool filled = true;
        for (std::size_t j = 0; j <= i; ++j) {
            filled = filled && all[j].state != position_state::masked;
        }
        if (all[i].state == position_state::committed && is_end && filled) {
            return static_cast<index_t>(i) + 1;
        }
    }
    return {};
}

std::optional<index_t> repetition_by_definition(const std::vector<place>& all, std::size_t window, double bound) {
    std::vector<std::size_t> committed;
    for (std::size_t i = 0; i < all.size() && all[i].state != position_state::masked; ++i) {
        if (all[i].state == position_state::committed) {
            committed.push_back(i);
        }
    }
    if (committed.size() < window) {
        return {};
    }
    std::map<token_t, double> times;
    for (std::size_t i = committed.size() - window; i < committed.size(); ++i) {
        times[all[committed[i]].token] += 1.0 / static_cast<double>(window);
    }
    double entropy = 0;
    for (const auto& [token, share] : times) {
        entropy -= share * std::log(share);
    }
    return entropy < bound ? std::optional(static_cast<index_t>(committed[committed.size() - window])) : std::nullopt;
}

} // namespace

TEST_CASE("stop rules are what their definitions say, on every canvas of up to four positions") {
    for (std::size_t length = 0; length <= 4; ++length) {
        for_all(length, [](const std::vector<place>& all, const canvas& page) {
            const auto end = end_by_definition(all, {2});
            const auto one_or_end = end_by_definition(all, {1, 2});
            const auto two = repetition_by_definition(all, 2, 0.5);
            const auto three = repetition_by_definition(all, 3, 0.8);
            REQUIRE(stop_at_end{}(page, 1) == end);
            REQUIRE(stop_at_tokens{{2}}(page, 1) == end);
            REQUIRE(stop_at_tokens{{2, 1}}(page, 1) == one_or_end);
            REQUIRE(stop_at_tokens{}(page, 1) == std::nullopt);
            REQUIRE(stop_at_repetition{2, 0.5}(page, 1) == two);
            REQUIRE(stop_at_repetition{3, 0.8}(page, 1) == three);

            const auto least = end && two ? std::min(end, two) : end ? end : two;
            REQUIRE(stop_at_any{stop_at_end{}, stop_at_repetition{2, 0.5}}(page, 1) == least);
            REQUIRE(stop_at_any{stop_at_repetition{2, 0.5}, never_stop{}, stop_at_end{}}(page, 1) == least);
            REQUIRE(stop_at_any{}(page, 1) == std::nullopt);
        });
    }
}

TEST_CASE("stop rules say what is wrong with their parameters") {
    CHECK(wrong_argument(stop_at_repetition{}) == "none");
    CHECK(wrong_argument(stop_at_repetition{.window = 1}) == "stop_at_repetition.window");
    CHECK(wrong_argument(stop_at_repetition{.window = 50}) == "stop_at_repetition.entropy"); // every text would stop
    CHECK(wrong_argument(stop_at_repetition{.entropy = -1}) == "stop_at_repetition.entropy");
    CHECK(wrong_argument(stop_at_tokens{{1, -1}}) == "stop_at_tokens.ends");
    CHECK(wrong_argument(stop_at_any{stop_at_end{}, stop_at_tokens{{-1}}}) == "stop_at_tokens.ends");
}

TEST_CASE("in a run: several end tokens, and a text that repeats itself") {
    const vocabulary six{.size = 6, .mask = 6, .end = 5};
    const sampler policy{steps{12}, block_length{1}, stop_at_any{stop_at_tokens{{5, 4}}, stop_at_repetition{4, 0.6}}};
    const auto written = [&](const std::vector<token_t>& wanted, index_t calls) {
        table_logits table;
        for (const token_t token : wanted) {
            table.rows.push_back(row_with(6, token, 0.9));
        }
        auto model = make_model(six, table);
        canvas page(six);
        page.add({}, 12);
        CHECK(policy(cpu_executor{1}, model, page, 1).calls == calls);
        CHECK(page.masked() == 0);
        return to_vector(page.tokens());
    };
    // The end of turn is kept, what would follow it is not asked for.
    CHECK(written({0, 1, 4, 3, 3, 3, 3, 3, 0, 1, 2, 3}, 3) == std::vector<token_t>{0, 1, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5});
    // Three of four are equal at the sixth token: the four are dropped, and the rest is not asked for.
    CHECK(written({0, 1, 2, 3, 3, 3, 3, 3, 0, 1, 2, 3}, 6) == std::vector<token_t>{0, 1, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5});
    CHECK(written({0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, 12) ==
          std::vector<token_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
}
