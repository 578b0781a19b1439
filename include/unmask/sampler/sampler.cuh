// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/graph_run.cuh>
#include <unmask/sampler/detail/device/replay.cuh>
#include <unmask/sampler/detail/device/run.cuh>
#include <unmask/sampler/detail/device/stop.cuh>
#include <unmask/sampler/detail/step/canvas_changes.hpp>
#include <unmask/sampler/detail/step/whole_run.hpp>
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/sampler.hpp>
#include <unmask/sampler/sampler_backend.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Whether a model and policies run on the GPU yet; if not, says why not.
template <class Model, class Policies>
constexpr bool check_on_device() {
    using selector = typename Policies::selector_type;
    if constexpr (!device_denoiser<Model>) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor the model must be a device_denoiser: on_device, "
                                    "vocabulary() and denoise(exec, device_canvas, device_rows, logits)");
    } else if constexpr (!std::same_as<typename Policies::corruption_type, absorbing>) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor the corruption must be absorbing");
    } else if constexpr (Policies::guided || Policies::changes_logits ||
                         is_approximate<typename Policies::cache_type>) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor there is no guidance, logits policy or "
                                    "approximate cache yet");
    } else if constexpr (!streaming_draw<typename Policies::draw_type>) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor the draw must be greedy or categorical");
    } else if constexpr (!cuda::waits_for_tokens<typename Policies::stop_type>) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor the stop rule must be stop_at_end, "
                                    "stop_at_tokens, stop_at_any of these, or never_stop");
    } else if constexpr (selects_before_model<selector>() && rankings_of<selector> > 0) {
        static_assert(never<Model>, "unmask::sampler: on cuda_executor a selector that runs before the model has no "
                                    "rankings");
    } else {
        return true;
    }
    return false;
}

// Fills the canvas. What is needed for that is taken from `kept` and put there, if the canvas is like the last one.
template <class Model, class Policies, class Observer>
statistics sample_on_device(const cuda_executor& exec, Model& model, canvas& page, std::uint64_t seed,
                            const Policies& policies, Observer& observer, std::unique_ptr<cuda::kept_run>& kept) {
    using run_type = cuda::graph_run<Model, Policies>;
    using replay_type = cuda::device_replay<Observer>;
    statistics counts;
    if constexpr (only_streams_on_device<Model>) {
        (void)row_draw_of("sampler", policies.draw); // throws if it has filters
    }
    run_or_restore(page, counts, [&] {
        canvas_changes<false, false> changes(page, counts);
        std::vector<bool> done(static_cast<std::size_t>(page.sequences()));
        for (index_t i = 0; i < page.sequences(); ++i) {
            done[static_cast<std::size_t>(i)] = is_done_at_once(policies.stop, page, i, changes);
        }
        if (std::all_of(done.begin(), done.end(), [](bool each) { return each; })) {
            return;
        }
        auto* all = static_cast<run_type*>(kept.get());
        if (all == nullptr || !all->restart(page, seed, done, replay_type::observed)) {
            kept.reset(); // its memory goes before more is taken
            kept = std::make_unique<run_type>(exec, model, page, seed, policies, done, replay_type::observed);
            all = static_cast<run_type*>(kept.get());
        }
        replay_type replay(page, counts, observer);
        counts.idle_calls = (*all)(replay);
        auto results = all->run().fetch(exec);
        for (const cuda::device_sequence& sequence : results.sequences) {
            if (sequence.fault >= 0 && !replay.has_ended()) {
                all->run().throw_fault(exec, sequence.first + sequence.fault, sequence.fault_is_score);
            }
        }
        if constexpr (!replay_type::observed) {
            replay(results.trace(), results.counts.calls);
        }
        counts.stopped_early = replay.has_ended();
        counts.calls = results.counts.calls;
        counts.rows = results.counts.all_rows;
        counts.nfe.denoise = results.counts.evaluations;
    });
    return counts;
}

// A cuda_executor whose runs, of one sampler and one model, keep what they need.
struct keeping_executor : cuda_executor {
    std::unique_ptr<cuda::kept_run>* kept;
};

} // namespace detail

/// The sampler on the GPU: with this header included, it takes a cuda_executor, and a device_denoiser.
template <std::derived_from<cuda_executor> Executor>
struct sampler_backend<Executor> {
    /// Fills the canvas; returns when the GPU has done it. If it throws, the canvas is as it was.
    template <class Model, class Policies, class Observer>
    static statistics run(const Executor& exec, Model& model, canvas& page, std::uint64_t seed,
                          const Policies& policies, Observer& observer) {
        if constexpr (detail::check_on_device<Model, Policies>()) {
            if constexpr (std::same_as<Executor, detail::keeping_executor>) {
                return detail::sample_on_device(exec, model, page, seed, policies, observer, *exec.kept);
            } else {
                std::unique_ptr<detail::cuda::kept_run> once;
                return detail::sample_on_device(exec, model, page, seed, policies, observer, once);
            }
        } else {
            return {};
        }
    }
};

/// A sampler and its model on the GPU, for runs in a row. The first run takes memory and records a step as a CUDA
/// graph; later ones use both again if their canvas is like the first: sequences of the same lengths, and no more
/// masked positions in a block. Any other canvas begins anew. Tokens are those of the sampler.
///
///     unmask::device_sampler generate(exec, model, unmask::sampler{unmask::steps{64}});
///     for (unmask::canvas& page : pages) {
///         generate(page, seed++);
///     }
///
/// The model must live as long; so must exec.stream and exec.memory. What the model enqueues is recorded with the
/// addresses of the first run's tensors, which stay. Memory: that of a run, between runs as well.
template <class Model, class Sampler>
class device_sampler {
public:
    /// Takes no memory yet.
    device_sampler(const cuda_executor& exec, Model& model, const Sampler& how)
        : exec_{exec, nullptr}, model_(&model), sampler_(how) {}

    /// Fills the canvas as the sampler does. Not for several threads at once.
    template <class Observer = no_observer>
    statistics operator()(canvas& page, std::uint64_t seed, Observer&& observer = {}) {
        detail::keeping_executor exec = exec_;
        exec.kept = &kept_;
        return sampler_(exec, *model_, page, seed, observer);
    }

private:
    detail::keeping_executor exec_;
    Model* model_;
    Sampler sampler_;
    std::unique_ptr<detail::cuda::kept_run> kept_;
};

UNMASK_NAMESPACE_END
