// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Every schedule, score and selector on the GPU, and a user's own, against the CPU.

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/numeric/exact_math.hpp>
#include <unmask/sampler/detail/device/run_plan.cuh>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/sampler.cuh>
#include <unmask/sampler/selector/combine.hpp>
#include <unmask/sampler/selector/entropy_bound.hpp>
#include <unmask/sampler/selector/kl_stable.hpp>

#include "../../support/sampling_lists.hpp"
#include "against_cpu.hpp"

using namespace test;

namespace own { // not an unnamed one: nvcc calls members that only one processor uses unreferenced

// One that looks at what no other does.
struct of_rare_numbers {
    static constexpr auto kind = policy_kind::score;

    UNMASK_HOST_DEVICE score operator()(const candidate& position) const {
        const bool unknown = position.divergence > 1e300 && position.held_log_probability < -1e300;
        return {unknown ? static_cast<double>(detail::element(position.words, 1) % 100) + position.held : -1};
    }
};

// Commits what is sure enough, but no two neighbours: each decision depends on the one before it.
struct no_neighbours {
    static constexpr auto kind = policy_kind::selector;
    double probability = 0.2;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        const double bound = exact::log_of_probability(probability);
        index_t next = 0;
        all.walk([&](int i) {
            all[i].chosen = all[i].where.position >= next && all[i].raw_log_probability >= bound;
            next = all[i].chosen ? all[i].where.position + 2 : next;
            return true;
        });
    }
};

// Uses every member of a candidate_view, and two rankings of its own.
struct uses_all {
    static constexpr auto kind = policy_kind::selector;
    static constexpr int rankings = 2;

    UNMASK_HOST_DEVICE double rank_by(int n, const candidate& position) const {
        return n == 0 ? position.random : -position.raw.entropy;
    }
    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& share) const {
        const int surest = all.highest([&](int i) { return all[i].raw_log_probability; });
        const int likely = all.count_if([&](int i) { return all[i].raw_log_probability > -1; });
        const int first = all.find_if([&](int i) { return all[i].random < 0.5; });
        all.choose_first(likely % 2, share.quota);
        const int last = all.walk([&](int i) { return i < first; });
        all.for_each([&](int i) {
            const bool extreme = i == surest || i == last || &all[i] == &all.ranked(1, 0);
            all[i].chosen = all[i].chosen || extreme;
        });
    }
};

// Chooses before the model, and often nothing: then there is no call, but in the last step.
struct rarely {
    static constexpr auto kind = policy_kind::selector;
    static constexpr bool before_model = true;

    template <class Candidates>
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const step_share& /*share*/) const {
        const int found = all.highest([&](int i) { return all[i].random; });
        all.for_each([&](int i) { all[i].chosen = i == found && all[i].random > 0.98; });
    }
};

} // namespace own

using namespace own;

TEST_CASE("every schedule") {
    for_each_schedule([](const std::string& name, const auto& schedule) {
        CAPTURE(name);
        check_against_cpu(sampler{schedule});
        check_against_cpu(sampler{schedule, block_length{16, block_origin::sequence}});
        check_against_cpu(sampler{schedule, block_length{3}}); // more blocks than steps
    });
}

TEST_CASE("every score") {
    for_each_score([](const std::string& name, const auto& score) {
        CAPTURE(name);
        check_against_cpu(sampler{steps{16}, score});
    });
    check_against_cpu(sampler{steps{16}, of_rare_numbers{}});
}

TEST_CASE("every selector") {
    for_each_selector([](const std::string& name, const auto& selector) {
        CAPTURE(name);
        check_against_cpu(sampler{cosine_steps{40}, selector, block_length{20}, categorical{.temperature = 0.7}});
        check_against_cpu(sampler{steps{16}, selector, random_order{}});
    });

    constexpr vocabulary certain{.size = 2, .mask = 1, .end = {}}; // nothing is lost, so nothing is held back
    canvas page(certain);
    page.add({}, 9);
    CHECK(sampler{entropy_bound{0.0}}(cuda_executor{}, device_model<float>{certain, {}}, page, 1).calls == 1);
}

TEST_CASE("of equally sure positions the first is committed") {
    constexpr vocabulary few{.size = 3, .mask = 3, .end = {}};
    canvas page(few);
    page.add({}, 2 * detail::cuda::step_threads + 9);
    canvas expected = page;
    noise says{8};
    says.forgetful = true; // the same logits again and again
    std::vector<told> stories[2];
    const sampler surest{threshold{1.0}}; // chooses nothing
    surest(cuda_executor{}, device_model<float>{few, says}, page, 7, listener{stories[0], 20});
    surest(cpu_executor{1}, host_model<float>{few, says}, expected, 7, listener{stories[1], 20});
    CHECK(stories[0] == stories[1]);
}

TEST_CASE("sequences have candidates before the model in places of their own") {
    std::mt19937 random(1);
    const canvas page = some_texts(letters, random);
    const detail::cuda::run_plan plan(page, block_length{8}, steps{16}, {});
    index_t next = 0;
    for (index_t i = 0; i < page.sequences(); ++i) {
        const auto& sequence = plan.sequences[static_cast<std::size_t>(i)];
        CHECK(sequence.room == next);
        index_t most = 0;
        for (index_t begin = sequence.plan.begin; begin < page.length(i); begin += 8) {
            most = std::max(most, detail::masked_in(page, i, begin, std::min(begin + 8, page.length(i))));
        }
        next += most;
    }
    CHECK(plan.most_rows == next);
}

TEST_CASE("a user's own selectors, before the model too") {
    check_against_cpu(sampler{no_neighbours{}});
    check_against_cpu(sampler{steps{12}, either{no_neighbours{}, uses_all{}}});
    check_against_cpu(sampler{steps{12}, uses_all{}, block_length{20}});
    check_against_cpu(sampler{steps{30}, rarely{}, block_length{9}, categorical{}});
    check_against_cpu(sampler{steps{30}, either{rarely{}, ancestral{}}, block_length{9}, categorical{}});
}

TEST_CASE("selectors that look at how distributions move") {
    const auto klass = presets::klass({.steps = 16, .confidence = 0.2, .divergence = 2, .divergence_steps = 1});
    check_against_cpu<bfloat16>(sampler{steps{16}, kl_stable{.confidence = 0.1, .divergence = 4}, block_length{20}});
    check_against_cpu(sampler{steps{16}, either{threshold{0.9}, kl_stable{0.1, 3, 3}}});

    constexpr vocabulary many{.size = 5 * 1024 + 77, .mask = 1500, .end = {}}; // more chunks than a block has warps
    canvas page(many);
    page.add({}, 6);
    canvas expected = page;
    klass(cuda_executor{}, device_model<float>{many, {4}}, page, 5);
    klass(cpu_executor{1}, host_model<float>{many, {4}}, expected, 5);
    CHECK(same_texts(page, expected));
}
