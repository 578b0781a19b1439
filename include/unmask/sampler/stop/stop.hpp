// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// A stop rule: when a sequence is done before all of it is filled. `std::optional<index_t> operator()(canvas, sequence)
/// const` is asked after every step, and once before the first, and gives the number of positions that are kept, or
/// nothing to go on. The positions after them that are not prompt get the end token, committed ones too; without an end
/// token in the vocabulary they are left as they are.
template <class S>
concept stop_policy = sampling_policy<S> && requires(const S& stop, const canvas& page, index_t sequence) {
    { stop(page, sequence) } -> std::same_as<std::optional<index_t>>;
};

namespace detail {

// One past the first committed token of a kind that nothing masked comes before.
template <class IsEnd>
std::optional<index_t> filled_up_to(const canvas& page, index_t sequence, IsEnd is_end) {
    const auto tokens = page.tokens(sequence);
    const auto states = page.states(sequence);
    for (std::size_t i = 0; i < tokens.size() && states[i] != position_state::masked; ++i) {
        if (states[i] == position_state::committed && is_end(tokens[i])) {
            return static_cast<index_t>(i) + 1;
        }
    }
    return {};
}

} // namespace detail

/// Done when the first committed end token is there and nothing before it is masked. An end token in the prompt stops
/// nothing; nor does one that later blocks could still be filled in front of.
struct stop_at_end {
    static constexpr auto kind = policy_kind::stop;

    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        if (const auto end = page.vocabulary().end) {
            return detail::filled_up_to(page, sequence, [&](token_t token) { return token == *end; });
        }
        return {};
    }
};

/// Every masked position is filled by the model, whatever the text says.
struct never_stop {
    static constexpr auto kind = policy_kind::stop;

    std::optional<index_t> operator()(const canvas& /*page*/, index_t /*sequence*/) const { return {}; }
};

UNMASK_NAMESPACE_END
