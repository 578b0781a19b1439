// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

// The same seed gives a sequence the same tokens alone, in any batch, at any place in it, with any number of threads.

using namespace sampler_test;

namespace {

constexpr vocabulary tokens{.size = 40, .mask = 17, .end = 3};

struct given {
    std::vector<token_t> tokens;
    std::uint64_t id;
};

std::vector<given> random_sequences(unsigned seed, int count) {
    std::mt19937 random(seed);
    std::vector<given> result;
    for (int i = 0; i < count; ++i) {
        given& one = result.emplace_back();
        one.id = (std::uint64_t{random()} << 32) | random();
        for (auto left = random() % 30; left > 0; --left) {
            one.tokens.push_back(random() % 4 == 0 ? static_cast<token_t>(random() % 40) : blank);
        }
    }
    return result;
}

using texts = std::map<std::uint64_t, std::vector<token_t>>;

template <class Sampler>
texts run(const Sampler& sampler, const std::vector<given>& sequences, int threads) {
    auto model = make_model(tokens, random_logits{11});
    model.may_ask_committed = true;
    canvas page(tokens);
    for (const given& one : sequences) {
        page.add_infill(one.tokens, one.id);
    }
    sampler(cpu_executor{threads}, model, page, 99);
    texts result;
    for (index_t i = 0; i < page.sequences(); ++i) {
        result[page.id(i)] = to_vector(page.tokens(i));
    }
    return result;
}

template <class Sampler>
void check_invariant(const Sampler& sampler) {
    const std::vector<given> sequences = random_sequences(5, 64);
    const texts together = run(sampler, sequences, 1);
    REQUIRE(run(sampler, sequences, 2) == together);
    REQUIRE(run(sampler, sequences, 3) == together);
    for (const given& one : sequences) {
        CAPTURE(one.id);
        REQUIRE(run(sampler, {one}, 1).at(one.id) == together.at(one.id));
    }
    for (unsigned seed = 0; seed < 4; ++seed) {
        CAPTURE(seed);
        auto part = sequences;
        std::shuffle(part.begin(), part.end(), std::mt19937(seed));
        part.resize(1 + seed * 20);
        for (const auto& [id, text] : run(sampler, part, 2)) {
            REQUIRE(text == together.at(id));
        }
    }
}

} // namespace

TEST_CASE("a sequence's tokens do not depend on its batch or on threads") {
    check_invariant(presets::llada({.steps = 9, .block_length = 8, .temperature = 0.8}));
    check_invariant(presets::dream({.steps = 7, .temperature = 0.5, .top_p = 0.9}));
    check_invariant(presets::mdlm({.steps = 30}));
    check_invariant(sampler{threshold{0.4}, categorical{.temperature = 0.6}, block_length{16}});
    check_invariant(sampler{cosine_steps{6}, random_order{}, categorical{}});
}

TEST_CASE("nor on what is remembered of its positions from step to step") {
    check_invariant(presets::dinfer_credit({.threshold = 0.3, .temperature = 0.9}));
    check_invariant(presets::klass({.steps = 9, .confidence = 0.3, .divergence = 1, .temperature = 0.8}));
    check_invariant(presets::llada21({.threshold = 0.3, .edit_threshold = 0.2, .edit_rounds = 4}));
    check_invariant(presets::remdm({.steps = 12}, remdm_conf{}));
}

namespace {

// A model with a dense grid, as most are: sequences padded to the longest one, on the left or on the right.
struct padding_model {
    unmask::vocabulary tokens;
    random_logits logits;
    bool left;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> rows, tensor_view<float, 2> out) const {
        index_t longest = 0;
        for (index_t i = 0; i < page.sequences(); ++i) {
            longest = std::max(longest, page.length(i));
        }
        std::vector<token_t> grid(static_cast<std::size_t>(page.sequences() * longest), -7);
        const auto place = [&](index_t sequence) {
            return sequence * longest + (left ? longest - page.length(sequence) : 0);
        };
        for (index_t i = 0; i < page.sequences(); ++i) {
            const auto text = page.tokens(i);
            std::copy(text.begin(), text.end(), grid.begin() + place(i));
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            const auto text = std::span(grid).subspan(static_cast<std::size_t>(place(sequence)),
                                                      static_cast<std::size_t>(page.length(sequence)));
            for (token_t token = 0; token < tokens.size; ++token) {
                out(i, token) = logits(text, position, token);
            }
        }
    }
};

} // namespace

TEST_CASE("nor on how the model pads") {
    const auto sampler = presets::llada({.steps = 9, .block_length = 8, .temperature = 0.8});
    const std::vector<given> sequences = random_sequences(5, 64);
    const texts ragged = run(sampler, sequences, 1);
    for (const bool left : {false, true}) {
        padding_model model{tokens, {11}, left};
        canvas page(tokens);
        for (const given& one : sequences) {
            page.add_infill(one.tokens, one.id);
        }
        sampler(cpu_executor{2}, model, page, 99);
        for (index_t i = 0; i < page.sequences(); ++i) {
            REQUIRE(to_vector(page.tokens(i)) == ragged.at(page.id(i)));
        }
    }
}

TEST_CASE("ids make the random numbers: equal ids equal tokens, other ids or seeds others") {
    const auto sampler = presets::mdlm({.steps = 4});
    auto model = make_model({.size = 50, .mask = 50, .end = {}}, random_logits{1, 0.1});
    canvas page(model.tokens);
    page.add({}, 30, 4);
    page.add({}, 30, 4);
    page.add({}, 30, 5);
    page.add({}, 30, (std::uint64_t{1} << 32) + 4); // the upper half counts too
    canvas other = page;
    sampler(cpu_executor{}, model, page, 1);
    sampler(cpu_executor{}, model, other, 2);
    CHECK(to_vector(page.tokens(0)) == to_vector(page.tokens(1)));
    CHECK(to_vector(page.tokens(0)) != to_vector(page.tokens(2)));
    CHECK(to_vector(page.tokens(0)) != to_vector(page.tokens(3)));
    CHECK(to_vector(page.tokens(0)) != to_vector(other.tokens(0)));
}

TEST_CASE("a large row count is shared by threads without changing anything") {
    const auto fill = [](int threads) {
        auto model = make_model({.size = 300, .mask = 300, .end = {}}, random_logits{2});
        canvas page(model.tokens);
        for (int i = 0; i < 6; ++i) {
            page.add({}, 64);
        }
        trace recorded;
        sampler{steps{2}, categorical{.temperature = 0.9, .top_p = 0.95}, margin{}}(cpu_executor{threads}, model, page,
                                                                                    3, recorded);
        std::vector<double> numbers;
        for (const trace::entry& entry : recorded.entries) {
            numbers.insert(numbers.end(),
                           {static_cast<double>(entry.what.token), entry.what.score.value, entry.what.log_probability});
        }
        return numbers;
    };
    const auto one = fill(1);
    CHECK(one.size() == 6 * 64 * 3);
    CHECK(one == fill(2));
    CHECK(one == fill(4));
}
