// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <string>
#include <vector>

#include "models.hpp"

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 10, .mask = 9, .end = 0};

} // namespace

TEST_CASE("a canvas keeps ragged sequences, and their states beside the tokens") {
    canvas page(tokens);
    const std::vector<token_t> prompt{1, 9, 0}; // a mask and an end token among them: still prompt
    CHECK(page.add(prompt, 2) == 0);
    CHECK(page.add({}, 0) == 1);
    CHECK(page.add_infill(std::vector<token_t>{blank, 5, blank, blank, 6}, 77) == 2);

    CHECK(page.sequences() == 3);
    CHECK(page.length(0) == 5);
    CHECK(page.length(1) == 0);
    CHECK(page.length(2) == 5);
    CHECK(page.offset(2) == 5);
    CHECK(page.offset(3) == 10);
    CHECK(to_vector(page.tokens(0)) == std::vector<token_t>{1, 9, 0, 9, 9});
    CHECK(to_vector(page.tokens(2)) == std::vector<token_t>{9, 5, 9, 9, 6});
    CHECK(page.tokens().size() == 10);
    CHECK(page.state(0, 1) == position_state::prompt);
    CHECK(page.state(0, 3) == position_state::masked);
    CHECK(page.states(2)[4] == position_state::prompt);
    CHECK(page.masked(0) == 2);
    CHECK(page.masked(1) == 0);
    CHECK(page.masked(2) == 3);
    CHECK(page.masked() == 5);
    CHECK(page.generation_begin(0) == 3);
    CHECK(page.generation_begin(1) == 0);
    CHECK(page.generation_begin(2) == 0);
    CHECK(page.id(0) == 0);
    CHECK(page.id(1) == 1);
    CHECK(page.id(2) == 77);
}

TEST_CASE("commit fills a masked position, end_text the rest") {
    canvas page(tokens);
    page.add_infill(std::vector<token_t>{0, blank, blank, blank, 7, blank});
    CHECK(page.text_end(0) == 6); // the end token is prompt
    page.commit(0, 3, 4);
    page.commit(0, 1, 0);
    CHECK(page.masked(0) == 2);
    CHECK(page.state(0, 3) == position_state::committed);
    CHECK(page.text_end(0) == 2);
    page.end_text(0, 2);
    CHECK(to_vector(page.tokens(0)) == std::vector<token_t>{0, 0, 0, 0, 7, 0});
    CHECK(page.state(0, 4) == position_state::prompt);
    CHECK(page.masked(0) == 0);
}

TEST_CASE("a mask outside the logits, at their start and at their end") {
    for (const token_t mask : {0, 3, 4, 1000}) {
        canvas page({.size = 4, .mask = mask, .end = {}});
        page.add(std::vector<token_t>{1, mask}, 1);
        CHECK(to_vector(page.tokens(0)) == std::vector<token_t>{1, mask, mask});
        CHECK(page.state(0, 1) == position_state::prompt);
    }
}

TEST_CASE("misuse of a canvas names the argument and changes nothing") {
    const auto of = [](vocabulary wrong) { return complaint([&] { canvas{wrong}; }); };
    CHECK(of({.size = 0, .mask = 0, .end = {}}) == "canvas: vocabulary.size is 0, expected at least 1");
    CHECK(of({.size = 1, .mask = 0, .end = {}}) == "canvas: vocabulary.size is 1, expected a token besides the mask");
    CHECK(of({.size = 4, .mask = -1, .end = {}}) == "canvas: vocabulary.mask is -1, expected at least 0");
    CHECK(of({.size = 4, .mask = 2, .end = 2}) ==
          "canvas: vocabulary.end is 2, expected a token of [0, size) other than the mask");
    CHECK(of({.size = 4, .mask = 2, .end = 4}) ==
          "canvas: vocabulary.end is 4, expected a token of [0, size) other than the mask");

    canvas page(tokens);
    page.add(std::vector<token_t>{1}, 2);
    const auto tokens_before = to_vector(page.tokens());
    CHECK(complaint([&] { page.add(std::vector<token_t>{1, 10}, 1); }) ==
          "canvas::add: prompt is 10, expected tokens of [0, size) or the mask");
    CHECK(complaint([&] { page.add(std::vector<token_t>{blank}, 1); }) ==
          "canvas::add: prompt is -1, expected tokens of [0, size) or the mask");
    CHECK(complaint([&] { page.add({}, -3); }) == "canvas::add: length is -3, expected at least 0");
    CHECK(complaint([&] { page.add({}, index_t{1} << 40); }) ==
          "canvas::add: length is 1099511627776, expected a sequence of fewer than 2^32 positions");
    CHECK(complaint([&] { page.add_infill(std::vector<token_t>{blank, -2}); }) ==
          "canvas::add_infill: tokens is -2, expected tokens of [0, size) or the mask");
    CHECK(complaint([&] { page.commit(1, 0, 3); }) == "canvas::commit: sequence is 1, expected one of the canvas");
    CHECK(complaint([&] { page.commit(0, 3, 3); }) == "canvas::commit: position is 3, expected one of the sequence");
    CHECK(complaint([&] { page.commit(0, 0, 3); }) == "canvas::commit: position is 0, expected a masked one");
    CHECK(complaint([&] { page.commit(0, 1, 9); }) ==
          "canvas::commit: token is 9, expected one of [0, size) other than the mask");
    CHECK(complaint([&] { page.commit(0, 1, -1); }) ==
          "canvas::commit: token is -1, expected one of [0, size) other than the mask");
    CHECK(complaint([&] { page.end_text(0, 4); }) == "canvas::end_text: begin is 4, expected in [0, length]");
    CHECK(complaint([&] { page.end_text(2, 0); }) == "canvas::end_text: sequence is 2, expected one of the canvas");
    CHECK(page.sequences() == 1);
    CHECK(page.masked() == 2);
    CHECK(to_vector(page.tokens()) == tokens_before);

    canvas endless({.size = 4, .mask = 4, .end = {}});
    endless.add({}, 1);
    CHECK(complaint([&] { endless.end_text(0, 0); }) == "canvas::end_text: vocabulary.end is empty, expected a token");
    CHECK(endless.masked() == 1);
}

TEST_CASE("a committed position can be masked again or edited, a masked one can hold noise") {
    canvas page({.size = 5, .mask = 4, .end = {}});
    page.add(std::vector<token_t>{1}, 3);
    page.commit(0, 1, 2);
    page.edit(0, 1, 3);
    CHECK(page.token(0, 1) == 3);
    CHECK(page.state(0, 1) == position_state::committed);
    CHECK(page.masked(0) == 2);
    page.remask(0, 1);
    CHECK(page.token(0, 1) == 4);
    CHECK(page.state(0, 1) == position_state::masked);
    CHECK(page.masked(0) == 3);
    page.renoise(0, 1, 0);
    CHECK(page.token(0, 1) == 0);
    CHECK(page.state(0, 1) == position_state::masked);
    CHECK(page.masked(0) == 3);
    page.commit(0, 1, 1);

    const std::vector<token_t> before(page.tokens(0).begin(), page.tokens(0).end());
    CHECK_THROWS_WITH_AS(page.remask(0, 2), "canvas::remask: position is 2, expected a committed one",
                         invalid_argument);
    CHECK_THROWS_AS(page.remask(0, 0), invalid_argument); // prompt
    CHECK_THROWS_WITH_AS(page.renoise(0, 1, 0), "canvas::renoise: position is 1, expected a masked one",
                         invalid_argument);
    CHECK_THROWS_AS(page.renoise(0, 2, 5), invalid_argument);
    CHECK_THROWS_WITH_AS(page.edit(0, 1, 4), "canvas::edit: token is 4, expected one of [0, size) other than the mask",
                         invalid_argument);
    CHECK_THROWS_AS(page.edit(0, 2, 1), invalid_argument);
    CHECK_THROWS_AS(page.edit(1, 0, 1), invalid_argument);
    CHECK(std::vector<token_t>(page.tokens(0).begin(), page.tokens(0).end()) == before);
    CHECK(page.masked(0) == 2);
}

TEST_CASE("a part of a canvas keeps ids and states, and what became of it is put back") {
    canvas page(tokens);
    page.add(std::vector<token_t>{1, 2}, 3);
    page.add({}, 0);
    page.add_infill(std::vector<token_t>{blank, 5, blank}, 77);
    page.commit(0, 3, 4);
    const auto same = [](const canvas& a, index_t of_a, const canvas& b, index_t of_b) {
        CHECK(to_vector(a.tokens(of_a)) == to_vector(b.tokens(of_b)));
        CHECK(std::ranges::equal(a.states(of_a), b.states(of_b)));
        CHECK(a.masked(of_a) == b.masked(of_b));
        CHECK(a.id(of_a) == b.id(of_b));
    };
    for (index_t begin = 0; begin <= 3; ++begin) {
        for (index_t end = begin; end <= 3; ++end) {
            const canvas some = page.part(begin, end);
            REQUIRE(some.sequences() == end - begin);
            for (index_t i = 0; i < some.sequences(); ++i) {
                same(some, i, page, begin + i);
            }
        }
    }
    CHECK_THROWS_AS((void)page.part(-1, 2), invalid_argument);
    CHECK_THROWS_AS((void)page.part(2, 1), invalid_argument);
    CHECK_THROWS_AS((void)page.part(0, 4), invalid_argument);

    canvas later = page;
    later.commit(0, 2, 7);
    later.remask(0, 3);
    later.commit(2, 0, 0);
    canvas found = page;
    std::vector<position_state> states;
    for (index_t i = 0; i < 3; ++i) {
        states.insert(states.end(), later.states(i).begin(), later.states(i).end());
    }
    found.restore(later.tokens(), states);
    for (index_t i = 0; i < 3; ++i) {
        same(found, i, later, i);
    }
    std::vector<token_t> wrong = to_vector(later.tokens());
    wrong[0] = 3; // a prompt
    CHECK_THROWS_AS(found.restore(wrong, states), invalid_argument);
    wrong = to_vector(later.tokens());
    wrong[2] = tokens.mask; // committed
    CHECK_THROWS_AS(found.restore(wrong, states), invalid_argument);
    CHECK_THROWS_AS(found.restore(later.tokens().first(3), states), invalid_argument);
    states[5] = position_state::prompt;
    CHECK_THROWS_AS(found.restore(later.tokens(), states), invalid_argument);
    same(found, 0, later, 0);
}
