// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// Models for the sampler's tests. The logits of each are a plain function of one sequence's tokens and a position, so
/// that a scalar sampler can ask the same question.

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>

namespace sampler_test {

using namespace unmask;

inline constexpr float infinity = std::numeric_limits<float>::infinity();

/// A denoiser made of `logits(tokens, position, token) -> float`. Counts calls and checks what it is asked. In uniform
/// diffusion masked positions hold noise.
template <class Logits, bool Shifts = false, bool Uniform = false>
struct function_model {
    static constexpr bool shifts_logits = Shifts;

    unmask::vocabulary tokens;
    Logits logits_of;
    bool may_ask_committed = false;
    index_t calls = 0;
    index_t rows = 0;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }

    void denoise(const canvas& page, std::span<const row> asked, tensor_view<float, 2> logits) {
        ++calls;
        rows += std::ssize(asked);
        REQUIRE(!asked.empty());
        REQUIRE(logits.extents[0] == std::ssize(asked));
        REQUIRE(logits.extents[1] == tokens.size);
        for (std::size_t i = 0; i < asked.size(); ++i) {
            const auto [sequence, position] = asked[i];
            if (!Shifts) {
                const position_state state = page.state(sequence, position);
                const bool may_be_asked =
                    state == position_state::masked || (may_ask_committed && state == position_state::committed);
                REQUIRE(may_be_asked);
                REQUIRE((state == position_state::masked && !Uniform) ==
                        (page.token(sequence, position) == tokens.mask));
                const bool in_order = i == 0 || asked[i - 1].sequence < sequence ||
                                      (asked[i - 1].sequence == sequence && asked[i - 1].position < position);
                REQUIRE(in_order);
            }
            for (token_t token = 0; token < tokens.size; ++token) {
                logits(i, token) = logits_of(page.tokens(sequence), position, token);
            }
        }
    }
};

template <bool Shifts = false, class Logits>
auto make_model(const vocabulary& tokens, Logits logits) {
    return function_model<Logits, Shifts>{tokens, logits, false, 0, 0};
}

inline std::uint64_t mix(std::uint64_t word) { // splitmix64
    word += 0x9e3779b97f4a7c15U;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebU;
    return word ^ (word >> 31);
}

/// Logits that depend on every token of the sequence: commit one thing differently, and everything changes.
struct random_logits {
    std::uint64_t seed = 0;
    double spread = 4;      ///< logits are uniform in ±spread
    double forbidden = 0.1; ///< the share of tokens with logit −∞

    float operator()(std::span<const token_t> tokens, index_t position, token_t token) const {
        std::uint64_t hash = seed;
        for (const token_t other : tokens) {
            hash = mix(hash ^ static_cast<std::uint64_t>(other));
        }
        hash = mix(hash ^ static_cast<std::uint64_t>(position));
        const auto unit = [](std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; };
        // The token that the position allows whatever else is forbidden: 0 or 1, one of which is not the mask.
        if (token > 1 && unit(mix(hash ^ (1000U + static_cast<std::uint64_t>(token)))) < forbidden) {
            return -infinity;
        }
        return static_cast<float>(spread * (2 * unit(mix(hash ^ static_cast<std::uint64_t>(token))) - 1));
    }
};

/// Logits by position, whatever the canvas holds.
struct table_logits {
    std::vector<std::vector<float>> rows;

    float operator()(std::span<const token_t> /*tokens*/, index_t position, token_t token) const {
        return rows[static_cast<std::size_t>(position)][static_cast<std::size_t>(token)];
    }
};

/// A row that gives `token` the probability p, and its neighbour most of the rest.
inline std::vector<float> row_with(token_t size, token_t token, double p) {
    std::vector<float> logits(static_cast<std::size_t>(size), static_cast<float>(std::log(1e-6)));
    logits[static_cast<std::size_t>((token + 1) % size)] = static_cast<float>(std::log(1 - p));
    logits[static_cast<std::size_t>(token)] = static_cast<float>(std::log(p));
    return logits;
}

/// What an error of this type says; empty if there is none.
template <class Error = invalid_argument, class Call>
std::string complaint(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// The argument that a policy's check() complains of; "none" if there is none.
template <class Policy>
std::string wrong_argument(const Policy& policy) {
    try {
        policy.check();
    } catch (const invalid_argument& error) {
        return error.argument();
    }
    return "none";
}

inline std::vector<token_t> to_vector(std::span<const token_t> tokens) {
    return {tokens.begin(), tokens.end()};
}

} // namespace sampler_test
