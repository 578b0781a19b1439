// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <unmask/executor/cpu_executor.hpp>
#include <unmask/random/philox.hpp>

#include "blas.hpp"
#include "cpu_layers.hpp"
#include "loss.hpp"
#include "workspace.hpp"

namespace sink_study {

using namespace language_model;

/// The symbols of the retrieval task, one token each: 24 of noise, 16 payloads, the marker.
inline const std::string retrieval_alphabet = "abcdefghijklmnopqrstuvwxABCDEFGHIJKLMNOP?";
inline constexpr token_t noise_symbols = 24;
inline constexpr token_t payloads = 16;
inline constexpr token_t marker = 40;

/// One sequence of the retrieval task: noise, uniform and independent; in its first quarter, at a uniform place, one
/// payload, uniform; in each of the last two quarters, at a uniform place, the marker, and after it the payload again.
/// What follows a marker can be known from the payload alone, and nothing else can be known: a head that retrieves has
/// work at two positions and must put its attention somewhere at all others.
struct retrieval_sequence {
    std::vector<token_t> tokens;      ///< [length]
    std::array<index_t, 2> answers{}; ///< the positions behind the markers
};

/// Sequence `number` of a seed: a pure function. The length is at least 16 and a multiple of 4.
inline retrieval_sequence make_retrieval(index_t length, std::uint32_t seed, std::uint64_t number) {
    const unmask::philox generator{{seed, 0x72657472U}};
    const auto below = [&](index_t draw, index_t end) {
        const auto words = generator({static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(number),
                                      static_cast<std::uint32_t>(number >> 32), 0});
        return static_cast<index_t>(unmask::uniform_open(words[0], words[1]) * static_cast<double>(end));
    };
    retrieval_sequence result;
    for (index_t i = 0; i < length; ++i) {
        result.tokens.push_back(static_cast<token_t>(below(i, noise_symbols)));
    }
    const auto payload = static_cast<token_t>(noise_symbols + below(length, payloads));
    const auto put = [&](index_t at, token_t token) { result.tokens[static_cast<std::size_t>(at)] = token; };
    const index_t quarter = length / 4;
    put(below(length + 1, quarter), payload);
    for (index_t i = 0; i < 2; ++i) {
        const index_t at = (2 + i) * quarter + below(length + 2 + i, quarter - 1);
        put(at, marker);
        put(at + 1, payload);
        result.answers[static_cast<std::size_t>(i)] = at + 1;
    }
    return result;
}

/// Sequences first, first + 1, … of a seed, [count, length].
inline std::vector<token_t> retrieval_tokens(index_t count, index_t length, std::uint32_t seed, std::uint64_t first) {
    std::vector<token_t> tokens;
    for (index_t i = 0; i < count; ++i) {
        const auto each = make_retrieval(length, seed, first + static_cast<std::uint64_t>(i)).tokens;
        tokens.insert(tokens.end(), each.begin(), each.end());
    }
    return tokens;
}

/// The share of sequences in which a model knows both answers, by its most likely symbol, when these are masked and all
/// else is visible.
template <class Model>
double exact_match(const Model& model, std::vector<float>& weights, index_t length, index_t sequences,
                   std::uint32_t seed) {
    use_one_blas_thread();
    workspace work = model.make_workspace(1, length);
    const auto bound_weights = model.bound(weights.data());
    index_t right = 0;
    for (index_t i = 0; i < sequences; ++i) {
        retrieval_sequence each = make_retrieval(length, seed, static_cast<std::uint64_t>(i));
        const token_t payload = each.tokens[static_cast<std::size_t>(each.answers[0])];
        for (const index_t answer : each.answers) {
            each.tokens[static_cast<std::size_t>(answer)] = static_cast<token_t>(retrieval_alphabet.size());
        }
        model.forward(cpu_layers{{1}}, bound_weights, each.tokens, work);
        right += std::all_of(each.answers.begin(), each.answers.end(), [&](index_t answer) {
            const float* logits = work.logits.pointer(answer);
            return std::max_element(logits, logits + work.logits.extents[1]) - logits == payload;
        });
    }
    return static_cast<double>(right) / static_cast<double>(sequences);
}

} // namespace sink_study
