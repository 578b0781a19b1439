// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// What the tests of presets share: a run with its trace, and six positions whose probabilities are known.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/sampler/trace/trace.hpp>

#include "models.hpp"

namespace sampler_test {

struct event {
    index_t call;
    index_t position;
    token_t token;
    friend bool operator==(const event&, const event&) = default;
};

template <class Sampler, class Model>
std::vector<event> events(const Sampler& sampler, Model& model, canvas& page, std::uint64_t seed = 1) {
    trace recorded;
    sampler(cpu_executor{1}, model, page, seed, recorded);
    std::vector<event> result;
    for (const trace::entry& entry : recorded.entries) {
        result.push_back({entry.call, entry.what.where.position, entry.what.token});
    }
    return result;
}

/// One type for all models, so that a sampler is compiled once.
using any_logits = std::function<float(std::span<const token_t>, index_t, token_t)>;

/// What was written, and when. Two are equal if every call committed the same.
struct generation {
    std::vector<token_t> text;
    std::vector<event> trace;
    index_t calls = 0;
    friend bool operator==(const generation&, const generation&) = default;
};

template <class Sampler>
generation generate(const Sampler& sampler, const any_logits& logits, const vocabulary& tokens,
                    const std::vector<token_t>& prompt, std::size_t masks, std::uint64_t seed = 1) {
    auto model = make_model(tokens, logits);
    canvas page(tokens);
    page.add(prompt, static_cast<index_t>(masks));
    generation result;
    result.trace = events(sampler, model, page, seed);
    result.text = to_vector(page.tokens(0));
    result.calls = model.calls;
    REQUIRE(page.masked() == 0);
    return result;
}

/// A prompt of one token and six masks; at position 1 + i the token i % 3 has the i-th probability.
inline constexpr double probabilities[6] = {0.5, 0.9, 0.7, 0.6, 0.95, 0.8};
inline constexpr vocabulary three{.size = 3, .mask = 3, .end = {}};

inline table_logits six_rows() {
    table_logits table{{row_with(3, 0, 0.5)}};
    for (token_t i = 0; i < 6; ++i) {
        table.rows.push_back(row_with(3, i % 3, probabilities[i]));
    }
    return table;
}

inline canvas six_masks() {
    canvas page(three);
    page.add(std::vector<token_t>{2}, 6);
    return page;
}

} // namespace sampler_test
