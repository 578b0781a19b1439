// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/host/serial_loops.hpp>
#include <unmask/sampler/detail/step/end_of_text.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN

/// A stop rule decides when a sequence is done although positions are still masked. `std::optional<index_t>
/// operator()(canvas, sequence) const` is called after every step, and once before the first; it returns the number of
/// positions to keep, or nothing if the sequence goes on. Later positions that are not prompt get the end token,
/// committed ones too; without an end token in the vocabulary they stay as they are.
template <class S>
concept stop_policy = sampling_policy<S> && requires(const S& stop, const canvas& page, index_t sequence) {
    { stop(page, sequence) } -> std::same_as<std::optional<index_t>>;
};

namespace detail {

struct token_set {
    const token_t* tokens;
    std::size_t size;

    UNMASK_HOST_DEVICE bool operator()(token_t token) const {
        std::size_t i = 0;
        while (i < size && tokens[i] != token) {
            ++i;
        }
        return i < size;
    }
};

// What is kept of a sequence whose text ends with one of these tokens; nothing if it goes on.
inline std::optional<index_t> kept_of(const canvas& page, index_t sequence, const token_set& ends) {
    const index_t end = end_of_text<serial_loops>(page.tokens(sequence).data(), page.states(sequence).data(),
                                                  page.length(sequence), ends);
    return end > 0 ? std::optional(end) : std::nullopt;
}

} // namespace detail

/// Stops at the first committed end token once nothing before it is masked. An end token in the prompt does not count,
/// nor does one that later blocks could still be filled in front of.
struct stop_at_end {
    static constexpr auto kind = policy_kind::stop;

    std::optional<index_t> operator()(const canvas& page, index_t sequence) const {
        if (const auto end = page.vocabulary().end) {
            return detail::kept_of(page, sequence, {&*end, 1});
        }
        return {};
    }
};

/// Never stops: the model fills every masked position.
struct never_stop {
    static constexpr auto kind = policy_kind::stop;

    std::optional<index_t> operator()(const canvas& /*page*/, index_t /*sequence*/) const { return {}; }
};

UNMASK_NAMESPACE_END
