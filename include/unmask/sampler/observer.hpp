// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <concepts>
#include <span>
#include <type_traits>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>

UNMASK_NAMESPACE_BEGIN

/// A position that a step changed: in most samplers a token that it committed.
struct commitment {
    row where;
    token_t token = -1; ///< what the canvas holds there now
    unmask::score score;
    double log_probability = 0; ///< of the token, by the model's own probabilities; 0 if it was not drawn
    unmask::change change = unmask::change::commit;
};

/// What an observer is told after every call of the model.
struct sampler_step {
    index_t call = 0;                        ///< of the model in this run, from 0
    const unmask::canvas& canvas;            ///< as it is now
    std::span<const commitment> commitments; ///< all that changed, by sequence and position; valid until it returns
    index_t masked = 0;                      ///< positions that are still masked
};

/// Something that watches a run: callable with a sampler_step. If what it returns converts to bool, false ends the run
/// after this step. It is called on the thread that runs the sampler and may throw: the canvas is then restored.
template <class O>
concept sampler_observer = std::invocable<O&, const sampler_step&> &&
    (std::is_void_v<std::invoke_result_t<O&, const sampler_step&>> ||
     std::convertible_to<std::invoke_result_t<O&, const sampler_step&>, bool>);

namespace detail {

// Tells an observer of a step; whether the run goes on.
template <class Observer>
bool tell(Observer& observer, const sampler_step& step) {
    if constexpr (std::is_void_v<decltype(observer(step))>) {
        observer(step);
        return true;
    } else {
        return static_cast<bool>(observer(step));
    }
}

template <class Observer>
constexpr bool check_observer() {
    static_assert(sampler_observer<Observer>, "unmask::sampler: the observer must be callable with const "
                                              "unmask::sampler_step& and return nothing or a bool");
    return sampler_observer<Observer>;
}

} // namespace detail

/// Watches nothing: no code is generated for it.
struct no_observer {
    void operator()(const sampler_step& /*step*/) const {}
};

UNMASK_NAMESPACE_END
