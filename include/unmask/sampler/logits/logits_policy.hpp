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
    requires requires {
        typename Policy::memory;
    }
struct remembered_by<Policy> {
    using type = typename Policy::memory;
};

// What a logits policy remembers of a position; empty if it has no `memory`.
template <class Policy>
using memory_of = typename remembered_by<Policy>::type;

template <class Policy>
concept shapes_logits = requires(const Policy& policy, const canvas& page, row where, std::span<float> logits) {
    policy(page, where, logits);
};
template <class Policy>
concept shapes_logits_with_memory = requires(const Policy& policy, const canvas& page, row where,
                                             std::span<float> logits, memory_of<Policy>& memory) {
    policy(page, where, logits, memory);
};

} // namespace detail

/// A logits policy: what is done to a row of logits, after guidance and before anything reads it.
/// `void operator()(const canvas&, row, std::span<float> logits) const` gets the canvas as the model saw it, the position
/// that is to be filled, and [0, vocabulary.size) logits, which it may change. −∞ forbids a token; forbidding all is an
/// error. The mask token is forbidden after it, whatever it writes there. Called by several threads at once for different
/// rows, so what it says of a row must depend on that row alone.
///
/// It may have a nested type `memory`, default-constructible, and take a `memory&` as its last argument: there is one for
/// every position of the canvas, made when a run begins and kept to its end.
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

/// Several logits policies, one after the other; none at all changes nothing.
template <logits_policy... Policies>
struct logits_chain {
    static constexpr auto kind = policy_kind::logits;
    using memory = std::tuple<detail::memory_of<Policies>...>;
    std::tuple<Policies...> policies;

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
