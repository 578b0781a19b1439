// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The sampler on the GPU against the sampler on the CPU, with a model that is the same on both: the same tokens, the
// same statistics, the same story told to an observer.

#include <algorithm>
#include <cstdint>
#include <random>
#include <tuple>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/sampler/sampler.cuh>

#include "twin_models.hpp"

namespace test {

struct told {
    index_t call;
    index_t masked;
    std::vector<std::tuple<index_t, index_t, token_t, double, double, change>> commitments;
    std::vector<token_t> tokens;

    friend bool operator==(const told&, const told&) = default;
};

// Keeps what it is told, and ends the run after some steps.
struct listener {
    std::vector<told>& story;
    index_t last = 1'000'000;

    bool operator()(const sampler_step& step) const {
        told& now = story.emplace_back(told{step.call, step.masked, {}, {}});
        for (const commitment& each : step.commitments) {
            now.commitments.emplace_back(each.where.sequence, each.where.position, each.token, each.score.value,
                                         each.log_probability, each.change);
        }
        now.tokens.assign(step.canvas.tokens().begin(), step.canvas.tokens().end());
        return step.call < last;
    }
};

inline constexpr vocabulary letters{.size = 21, .mask = 20, .end = 0};

// Sequences of many shapes: prompts before, between and after what is to be filled; with the mask and the end in them.
inline canvas some_texts(const vocabulary& tokens, std::mt19937& random) {
    canvas page(tokens);
    const auto letter = [&] { return static_cast<token_t>(random() % 20); };
    for (const index_t length : {0, 1, 5, 20}) {
        std::vector<token_t> prompt(random() % 7);
        std::generate(prompt.begin(), prompt.end(), letter);
        page.add(prompt, length);
    }
    std::vector<token_t> infill(40);
    for (token_t& token : infill) {
        token = random() % 3 == 0 ? letter() : random() % 20 == 0 ? tokens.mask : blank;
    }
    page.add_infill(infill, 1234567890123ULL);
    page.add({}, 37);
    return page;
}

inline bool same_counts(const statistics& a, const statistics& b) {
    return a.calls == b.calls && a.rows == b.rows && a.nfe.denoise == b.nfe.denoise && a.committed == b.committed &&
           a.filled == b.filled && a.useful == b.useful && a.remasked == b.remasked && a.wasted == b.wasted &&
           a.stopped_early == b.stopped_early;
}

inline bool same_texts(const canvas& a, const canvas& b) {
    for (index_t i = 0; i < a.sequences(); ++i) {
        if (!std::ranges::equal(a.tokens(i), b.tokens(i)) || !std::ranges::equal(a.states(i), b.states(i))) {
            return false;
        }
    }
    return a.masked() == b.masked();
}

// Another one for each sampler.
inline unsigned next_seed() {
    static unsigned seed = 0;
    return ++seed;
}

template <class Logit = float, bool Shifts = false, class Sampler>
void check_against_cpu(const Sampler& sampler, const vocabulary& tokens = letters) {
    const unsigned seed = next_seed();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const canvas texts = some_texts(tokens, random);
    const noise says{seed};

    canvas expected = texts;
    std::vector<told> expected_story;
    const statistics expected_counts =
        sampler(cpu_executor{1}, host_model<Logit, Shifts>{tokens, says}, expected, seed, listener{expected_story});
    canvas got = texts;
    std::vector<told> story;
    const device_model<Logit, Shifts> model{tokens, says};
    const statistics counts = sampler(cuda_executor{}, model, got, seed, listener{story});
    CHECK(same_texts(got, expected));
    CHECK(same_counts(counts, expected_counts));
    CHECK(story == expected_story);
    CHECK(expected.masked() == 0);
    CHECK(model.calls <= counts.calls + 1); // at most one for nothing
}

} // namespace test
