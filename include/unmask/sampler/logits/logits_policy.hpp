// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>

#include <unmask/config.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/policies.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

struct nothing_remembered {};

template <class Policy>
struct remembered_by {
    using type = nothing_remembered;
};
template <class Policy>
    requires requires { typename Policy::memory; }
struct remembered_by<Policy> {
    using type = typename Policy::memory;
};

// A logits policy's memory of a position; an empty type if it has none.
template <class Policy>
using memory_of = typename remembered_by<Policy>::type;

template <class Policy>
concept shapes_logits = requires(const Policy& policy, const canvas& page, row where, std::span<float> logits) {
    policy(page, where, logits);
};
template <class Policy>
concept shapes_logits_with_memory =
    requires(const Policy& policy, const canvas& page, row where, std::span<float> logits, memory_of<Policy>& memory) {
        policy(page, where, logits, memory);
    };

} // namespace detail

/// A logits policy: changes a row of logits, after guidance and before anything else reads the row. `void
/// operator()(const canvas&, row, std::span<float> logits) const` receives the canvas as the model saw it, the position
/// to be filled, and vocabulary.size logits, which it may change. −∞ forbids a token; forbidding all tokens is an
/// error. The mask token is forbidden afterwards, whatever the policy writes. Several threads call it concurrently for
/// different rows, so its effect on a row must depend only on that row.
///
/// Optional: a nested, default-constructible type `memory`, passed by reference as a last argument. Each position of
/// the canvas has one, which lives from the beginning of a run to its end.
template <class P>
concept logits_policy = sampling_policy<P> && std::default_initializable<detail::memory_of<P>> &&
                        (detail::shapes_logits<P> || detail::shapes_logits_with_memory<P>);

namespace detail {

template <logits_policy Policy>
void shape_logits(const Policy& policy, const canvas& page, row where, std::span<float> logits,
                  memory_of<Policy>& memory) {
    if constexpr (shapes_logits_with_memory<Policy>) {
        policy(page, where, logits, memory);
    } else {
        policy(page, where, logits);
    }
}

} // namespace detail

/// Applies several logits policies, one after another; without policies it changes nothing.
template <logits_policy... Policies>
struct logits_chain {
    static constexpr auto kind = policy_kind::logits;
    using memory = std::tuple<detail::memory_of<Policies>...>;
    std::tuple<Policies...> policies; ///< the policies, in the order in which they are applied

    /// A chain of these policies.
    constexpr explicit logits_chain(Policies... each) : policies(std::move(each)...) {}

    void check() const {
        std::apply([](const Policies&... each) { (detail::check_policy(each), ...); }, policies);
    }
    void operator()(const canvas& page, row where, std::span<float> logits, memory& remembered) const {
        const auto apply_all = [&]<std::size_t... Places>(std::index_sequence<Places...> /*places*/) {
            (detail::shape_logits(std::get<Places>(policies), page, where, logits, std::get<Places>(remembered)), ...);
        };
        apply_all(std::index_sequence_for<Policies...>{});
    }
};

UNMASK_NAMESPACE_END
