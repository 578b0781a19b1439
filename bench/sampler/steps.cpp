// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <unmask/sampler/sampler.hpp>

#include "../../tests/support/sampling_lists.hpp"
#include "../support/buffers.hpp"
#include "cases.hpp"

// Whole steps of the sampler, with a model that does no more than copy logits.

namespace bench {
namespace {

constexpr unmask::index_t masked = 4096;
constexpr unmask::index_t a_step = 8; // positions that it commits
constexpr unmask::index_t steps = 64;
constexpr unmask::vocabulary tokens{.size = 32, .mask = 32, .end = {}};

struct free_model {
    std::vector<float> rows = numbers<float>(masked * tokens.size, 1);

    unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const unmask::canvas&, std::span<const unmask::row>, unmask::tensor_view<float, 2> logits) const {
        std::copy_n(rows.data(), logits.extents[0] * logits.extents[1], logits.data);
    }
};

// Ends a run after some steps: later ones would have fewer rows.
struct stop_early {
    static constexpr auto kind = unmask::policy_kind::stop;

    std::optional<unmask::index_t> operator()(const unmask::canvas& page, unmask::index_t sequence) const {
        const bool enough = page.masked(sequence) <= masked - steps * a_step;
        return enough ? std::optional(page.length(sequence)) : std::nullopt;
    }
};

template <class Sampler, class... Observer>
void run(benchmark::State& state, const options& options, const Sampler& sampler, const Observer&... observer) {
    const free_model model;
    const unmask::cpu_executor exec{options.threads};
    unmask::canvas empty(tokens);
    empty.add({}, masked);
    double rows = 0;
    double seconds = 0;
    for (auto _ : state) {
        unmask::canvas page = empty;
        const unmask::statistics result = sampler(exec, model, page, 1, observer...);
        rows += static_cast<double>(result.rows);
        seconds += result.seconds_in_sampling;
    }
    state.counters["seconds_a_row"] = seconds / rows;
}

template <class Sampler, class... Observer>
void add(const options& options, const std::string& name, const Sampler& sampler, const Observer&... observer) {
    const std::string threads = "/threads:" + std::to_string(options.threads);
    benchmark::RegisterBenchmark(("step/masked:4096/vocabulary:32/" + name + threads).c_str(),
                                 [=](benchmark::State& state) { run(state, options, sampler, observer...); })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
}

// With a policy of one kind in place of the default.
template <class Policy>
void add_policy(const options& options, const std::string& name, const Policy& policy) {
    const unmask::sampler usual{unmask::steps{masked / a_step}, stop_early{}};
    add(options, name, usual.with(policy));
}

} // namespace

void add_steps(const options& options) {
    const unmask::sampler usual{unmask::steps{masked / a_step}, stop_early{}};
    add(options, "no_observer_parameter", usual);
    add(options, "no_observer", usual, unmask::no_observer{});
    add(options, "observer_that_ignores", usual, [](const unmask::sampler_step&) {});
    test::for_each_score([&](const std::string& name, const auto& score) { add_policy(options, name, score); });
    test::for_each_selector(
        [&](const std::string& name, const auto& selector) { add_policy(options, name, selector); });
}

} // namespace bench
