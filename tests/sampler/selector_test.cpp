// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include <unmask/sampler/detail/host/candidates.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>
#include <unmask/sampler/selector/factor.hpp>
#include <unmask/sampler/selector/first_hitting.hpp>
#include <unmask/sampler/selector/hierarchical.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>

#include "models.hpp"

// Every selector against its definition, on small rows with many ties: the definitions rank by counting what comes
// before.

using namespace sampler_test;

namespace {

using choice = std::vector<bool>;
using row_of_candidates = std::vector<candidate>;

template <class T>
T one_of(std::mt19937& random, const std::vector<T>& values) {
    return values[random() % values.size()];
}

// Rising positions with gaps. Everything that a selector may look at is from a short list, so that ties are common, and
// binary fractions, so that sums of entropies are exact.
row_of_candidates random_candidates(std::mt19937& random, std::size_t count) {
    const std::vector<double> probabilities{0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1};
    row_of_candidates all(count);
    index_t position = 0;
    for (candidate& one : all) {
        position += one_of<index_t>(random, {1, 1, 1, 2, 5});
        one.where = {0, position};
        one.score = {one_of<double>(random, {-infinity, -2, -1, -0.5, 0, 3})};
        one.raw_log_probability = std::log(one_of(random, probabilities));
        one.shaped_log_probability = std::log(one_of(random, probabilities));
        one.raw.entropy = static_cast<double>(random() % 9) / 16;
        one.shaped.entropy = static_cast<double>(random() % 9) / 16;
        one.divergence = one_of<double>(random, {0, 0.005, 0.01, 0.02, infinity});
        one.random = static_cast<double>(1 + random() % 7) / 8;
    }
    return all;
}

template <class Selector>
choice ask(const Selector& selector, row_of_candidates all, index_t quota = 0, double probability = 0) {
    const row_of_candidates before = all;
    detail::with_view(selector, all, [&](const auto& view) {
        selector.choose(view, step_share{.quota = quota, .probability = probability});
    });
    choice result;
    bool moved = false;
    for (std::size_t i = 0; i < all.size(); ++i) {
        moved = moved || !(all[i].where == before[i].where);
        result.push_back(all[i].chosen);
    }
    REQUIRE(!moved);
    return result;
}

// How many come before a candidate.
template <class Number>
index_t rank_of(const row_of_candidates& all, std::size_t i, Number number) {
    index_t rank = 0;
    for (std::size_t j = 0; j < all.size(); ++j) {
        rank += number(all[j]) > number(all[i]) || (number(all[j]) == number(all[i]) && j < i) ? 1 : 0;
    }
    return rank;
}

double score_of(const candidate& one) {
    return one.score.value;
}

double probability_of(const candidate& one, score_from source) {
    return std::round(8 * std::exp(one.log_probability(source))) / 8; // what it was made of
}

template <class Condition>
choice where(const row_of_candidates& all, Condition condition) {
    choice result;
    for (std::size_t i = 0; i < all.size(); ++i) {
        result.push_back(condition(i));
    }
    return result;
}

choice top_by_definition(const row_of_candidates& all, index_t quota) {
    return where(all, [&](std::size_t i) { return rank_of(all, i, score_of) < quota; });
}

choice factor_by_definition(const row_of_candidates& all, double value, score_from source) {
    const auto number = [&](const candidate& one) { return probability_of(one, source); };
    index_t most = 1;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const index_t n = rank_of(all, i, number) + 1;
        if (static_cast<double>(n + 1) * (1 - number(all[i])) < value) {
            most = std::max(most, n);
        }
    }
    return where(all, [&](std::size_t i) { return rank_of(all, i, number) < most; });
}

choice entropy_by_definition(const row_of_candidates& all, double gamma, score_from source) {
    index_t most = 0;
    for (index_t n = 1; n <= std::ssize(all); ++n) {
        double sum = 0;
        double largest = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (rank_of(all, i, score_of) < n) {
                sum += all[i].statistics(source).entropy;
                largest = std::max(largest, all[i].statistics(source).entropy);
            }
        }
        most = sum - largest <= gamma ? n : most;
    }
    return where(all, [&](std::size_t i) { return rank_of(all, i, score_of) < most; });
}

choice hierarchy_by_definition(const row_of_candidates& all, double low, double high, score_from source) {
    const auto number = [&](const candidate& one) { return probability_of(one, source); };
    return where(all, [&](std::size_t i) {
        bool best = true;
        for (std::size_t j = 0; j < all.size(); ++j) {
            const index_t apart = std::abs(all[j].where.position - all[i].where.position);
            const bool same_run = apart == std::abs(static_cast<index_t>(j) - static_cast<index_t>(i));
            const bool before = number(all[j]) > number(all[i]) || (number(all[j]) == number(all[i]) && j < i);
            best = best && !(same_run && before);
        }
        return number(all[i]) > high || (best && number(all[i]) > low);
    });
}

index_t count(const choice& chosen) {
    return std::count(chosen.begin(), chosen.end(), true);
}

bool is_part_of(const choice& part, const choice& whole) {
    for (std::size_t i = 0; i < part.size(); ++i) {
        if (part[i] && !whole[i]) {
            return false;
        }
    }
    return true;
}

// One that a user might write.
struct every_third {
    static constexpr auto kind = policy_kind::selector;
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        all.for_each([&](int i) { all[i].chosen = i % 3 == 0; });
    }
};

} // namespace

TEST_CASE("selectors are what their definitions say") {
    std::mt19937 random(20250);
    for (int repeat = 0; repeat < 3000; ++repeat) {
        CAPTURE(repeat);
        const std::size_t size = repeat % 100 == 0 ? 150 : random() % 13;
        const auto all = random_candidates(random, size);
        const auto quota = static_cast<index_t>(random() % (size + 3));
        const auto source = one_of<score_from>(random, {score_from::raw, score_from::shaped});
        const auto p = [&](std::size_t i) { return probability_of(all[i], source); };
        const double bound = one_of<double>(random, {0, 0.125, 0.5, 0.75, 1});

        REQUIRE(ask(top_k{}, all, quota) == top_by_definition(all, quota));
        REQUIRE(ask(threshold{bound, source}, all) == where(all, [&](std::size_t i) { return p(i) >= bound; }));
        REQUIRE(ask(threshold{bound, source, true}, all) == where(all, [&](std::size_t i) { return p(i) > bound; }));

        // Products of the definition are multiples of 1/8, so none is equal to these.
        const double value = static_cast<double>(random() % 60) / 8 + 0.0625;
        REQUIRE(ask(factor{value, source}, all) == factor_by_definition(all, value, source));

        const double gamma = static_cast<double>(random() % 30) / 16;
        REQUIRE(ask(entropy_bound{gamma, source}, all) == entropy_by_definition(all, gamma, source));

        const auto stable = where(all, [&](std::size_t i) { return p(i) > bound && all[i].divergence < 0.01; });
        REQUIRE(ask(kl_stable{bound, 0.01, 2, source}, all, quota) ==
                (count(stable) > 0 ? stable : top_by_definition(all, quota)));

        const double low = one_of<double>(random, {0, 0.125, 0.25, 0.5});
        const double high = one_of<double>(random, {0.5, 0.75, 0.875, 1});
        REQUIRE(ask(hierarchical{low, high, source}, all) == hierarchy_by_definition(all, low, high, source));

        REQUIRE(ask(ancestral{}, all, 0, bound) == where(all, [&](std::size_t i) { return all[i].random < bound; }));
        const auto least = [](const candidate& one) { return -one.random; };
        REQUIRE(ask(first_hitting{}, all) == where(all, [&](std::size_t i) { return rank_of(all, i, least) == 0; }));
    }
}

TEST_CASE("combinations are what their parts say") {
    std::mt19937 random(20251);
    for (int repeat = 0; repeat < 1000; ++repeat) {
        CAPTURE(repeat);
        const auto all = random_candidates(random, random() % 13);
        const auto quota = static_cast<index_t>(random() % (all.size() + 3));
        const threshold bold{0.75, score_from::raw, true};
        const entropy_bound careful{0.25, score_from::shaped};
        const auto by_threshold = ask(bold, all, quota);
        const auto by_entropy = ask(careful, all, quota);
        const auto by_user = ask(every_third{}, all, quota);

        REQUIRE(ask(or_quota{bold}, all, quota) ==
                (count(by_threshold) >= quota ? by_threshold : top_by_definition(all, quota)));
        REQUIRE(ask(or_quota{every_third{}}, all, quota) ==
                (count(by_user) >= quota ? by_user : top_by_definition(all, quota)));
        REQUIRE(ask(either{bold, careful}, all, quota) ==
                where(all, [&](std::size_t i) { return by_threshold[i] || by_entropy[i]; }));
        REQUIRE(ask(both{careful, every_third{}}, all, quota) ==
                where(all, [&](std::size_t i) { return by_entropy[i] && by_user[i]; }));
        REQUIRE(ask(either{both{bold, every_third{}}, top_k{}}, all, quota) == where(all, [&](std::size_t i) {
                    return (by_threshold[i] && by_user[i]) || rank_of(all, i, score_of) < quota;
                }));
    }
}

TEST_CASE("a bolder parameter chooses no fewer") {
    std::mt19937 random(20252);
    const std::vector<double> steps{0.01, 0.1, 0.3, 0.5, 0.7, 0.9};
    for (int repeat = 0; repeat < 300; ++repeat) {
        const auto all = random_candidates(random, 1 + random() % 40);
        for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
            REQUIRE(is_part_of(ask(threshold{steps[i + 1]}, all), ask(threshold{steps[i]}, all)));
            REQUIRE(is_part_of(ask(factor{3 * steps[i]}, all), ask(factor{3 * steps[i + 1]}, all)));
            REQUIRE(is_part_of(ask(entropy_bound{steps[i]}, all), ask(entropy_bound{steps[i + 1]}, all)));
            REQUIRE(is_part_of(ask(hierarchical{steps[i + 1], 0.9}, all), ask(hierarchical{steps[i], 0.9}, all)));
            REQUIRE(count(ask(factor{steps[i]}, all)) >= 1);
            REQUIRE(count(ask(entropy_bound{0}, all)) >= 1);
        }
    }
}

TEST_CASE("factor, worked by hand: the thresholds of ranks are 1 - f/(n+1)") {
    const auto chosen = [](const std::vector<double>& probabilities) {
        row_of_candidates all(probabilities.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].where = {0, static_cast<index_t>(i)};
            all[i].raw_log_probability = std::log(probabilities[i]);
        }
        return ask(factor{1}, all);
    };
    CHECK(chosen({0.74, 0.7, 0.1}) == choice{true, true, false}); // 1/2, 2/3, 3/4
    CHECK(chosen({0.9, 0.6}) == choice{true, false}); // the last one fails: the original's loop would take it
    CHECK(chosen({0.1}) == choice{true});
    CHECK(chosen({0.1, 0.2}) == choice{false, true});
    CHECK(chosen({0.81, 0.76, 0.81, 0.79}) == choice{true, false, true, true}); // the fourth needs 0.8
}

TEST_CASE("combinations forward what the sampler asks of a selector") {
    static_assert(!detail::selects_before_model<either<ancestral, threshold>>());
    static_assert(detail::selects_before_model<either<ancestral, first_hitting>>());
    static_assert(detail::selects_before_model<both<ancestral, ancestral>>());
    static_assert(!detail::selects_before_model<or_quota<ancestral>>());
    static_assert(!detail::looks_at_divergence<either<top_k, threshold>>);
    static_assert(detail::looks_at_divergence<or_quota<kl_stable>>);
    CHECK(detail::divergence_steps_of(either{kl_stable{.divergence_steps = 3}, threshold{}}) == 3);
    CHECK(detail::divergence_steps_of(both{or_quota{kl_stable{}}, kl_stable{.divergence_steps = 5}}) == 5);

    const auto complaint = [](const auto& selector) -> std::string {
        try {
            selector.check();
        } catch (const invalid_argument& error) {
            return error.argument();
        }
        return "none";
    };
    CHECK(complaint(either{threshold{}, or_quota{entropy_bound{-1}}}) == "entropy_bound.gamma");
    CHECK(complaint(both{factor{0}, threshold{}}) == "factor.value");
    CHECK(complaint(hierarchical{0.9, 0.5}) == "hierarchical.low");
    CHECK(complaint(hierarchical{0.9, 2}) == "hierarchical.high");
    CHECK(complaint(kl_stable{.confidence = -1}) == "kl_stable.confidence");
    CHECK(complaint(kl_stable{.divergence = -1}) == "kl_stable.divergence");
    CHECK(complaint(kl_stable{.divergence_steps = 0}) == "kl_stable.divergence_steps");
    CHECK(complaint(threshold{std::nan("")}) == "threshold.probability");
    CHECK(complaint(either{kl_stable{}, hierarchical{}}) == "none");
}

TEST_CASE("or_quota keeps the schedule's bound on the calls") {
    const vocabulary tokens{.size = 5, .mask = 5, .end = {}};
    auto model = make_model(tokens, random_logits{.seed = 3});
    canvas page(tokens);
    page.add({}, 30);
    CHECK(sampler{steps{6}, or_quota{threshold{1}}}(cpu_executor{1}, model, page, 1).calls == 6);
}

TEST_CASE("first_hitting fills one position a call, in every order equally often") {
    const vocabulary tokens{.size = 2, .mask = 2, .end = {}};
    auto model = make_model(tokens, [](std::span<const token_t>, index_t, token_t) { return 0.0F; });
    const sampler one_by_one{steps{2}, first_hitting{}}; // the schedule has fewer steps, and does not matter
    std::map<std::vector<index_t>, int> orders;
    constexpr int runs = 6000;
    for (int run = 0; run < runs; ++run) {
        canvas page(tokens);
        page.add(std::vector<token_t>{1}, 4);
        std::vector<index_t> order;
        const auto observer = [&](const sampler_step& step) {
            REQUIRE(step.commitments.size() == 1);
            order.push_back(step.commitments[0].where.position);
        };
        REQUIRE(one_by_one(cpu_executor{1}, model, page, static_cast<std::uint64_t>(run), observer).rows == 4);
        ++orders[order];
    }
    CHECK(orders.size() == 24);
    double statistic = 0;
    for (const auto& [order, times] : orders) {
        statistic += (times - runs / 24.0) * (times - runs / 24.0) / (runs / 24.0);
    }
    CHECK(statistic < 23 + 4 * std::sqrt(46.0));
}

TEST_CASE("divergence of rows, against a sum in double") {
    std::mt19937 random(31);
    std::normal_distribution<float> normal;
    for (const std::size_t size : {1, 2, 100, 128, 1000, 1024, 5003}) {
        CAPTURE(size);
        std::vector<float> p(size);
        std::vector<float> q(size);
        for (std::size_t i = 0; i < size; ++i) {
            p[i] = i > 0 && random() % 5 == 0 ? -infinity : 4 * normal(random);
            q[i] = p[i] == -infinity && random() % 2 == 0 ? p[i] : 500 + 4 * normal(random); // scales don't matter
        }
        const auto log_sum = [](const std::vector<float>& row, float highest) {
            double sum = 0;
            for (const float logit : row) {
                sum += std::exp(static_cast<double>(logit) - static_cast<double>(highest));
            }
            return static_cast<double>(highest) + std::log(sum);
        };
        const double p_scale = log_sum(p, *std::max_element(p.begin(), p.end()));
        const double q_scale = log_sum(q, *std::max_element(q.begin(), q.end()));
        double expected = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const double log_p = static_cast<double>(p[i]) - p_scale;
            expected += std::exp(log_p) > 0 ? std::exp(log_p) * (log_p - (static_cast<double>(q[i]) - q_scale)) : 0;
        }
        CHECK(detail::kl_divergence(p, statistics_of(p), q, statistics_of(q)) ==
              doctest::Approx(expected).epsilon(2e-6));
        CHECK(detail::kl_divergence(p, statistics_of(p), p, statistics_of(p)) < 1e-9);
        if (size > 1) { // q says that it can't be
            q[static_cast<std::size_t>(statistics_of(p).best)] = -infinity;
            CHECK(detail::kl_divergence(p, statistics_of(p), q, statistics_of(q)) == static_cast<double>(infinity));
        }
    }
}
