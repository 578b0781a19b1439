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

/// A position that a step changed, in most samplers by committing a token.
struct commitment {
    row where;                  ///< the position
    token_t token = -1;         ///< the token there after the step
    unmask::score score;        ///< the position's score in the step
    double log_probability = 0; ///< of the token, by the model's own probabilities; 0 if it was not drawn
    unmask::change change = unmask::change::commit; ///< the kind of change
};

/// A step of a run, as the observer receives it after each call of the model.
struct sampler_step {
    index_t call = 0;                        ///< number of the model's call in this run, from 0
    const unmask::canvas& canvas;            ///< the canvas after the step
    std::span<const commitment> commitments; ///< all changes, by sequence and position; valid during the call
    index_t masked = 0;                      ///< positions that are still masked
};

/// An observer of a run: callable with a const sampler_step&. If it returns a type that converts to bool, false ends
/// the run after this step. It is called on the thread that runs the sampler. If it throws, the canvas is restored.
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

/// The observer that does nothing; no code is generated for it.
struct no_observer {
    /// Does nothing.
    void operator()(const sampler_step& /*step*/) const {}
};

UNMASK_NAMESPACE_END
