// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/graph_loop.cuh>
#include <unmask/error.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
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

// Without conditional graphs, the host polls for completion every this many steps.
inline constexpr int polling_interval = 8;

// Runs steps until the canvas is full; returns the polling interval, or 0 if there was none. wait() waits for all that
// is enqueued. The first step is made outside of the graph: CUDA loads its kernels then.
template <class Run, class Wait>
index_t run_to_the_end(const cuda_executor& exec, const Run& run, const Wait& wait) {
    const auto step = [&run](const cuda::work_stream& on) { run.enqueue_step(cuda_executor{on.stream, on.memory}); };
    step(cuda::work_on(exec));
    if (cuda::loop_on_device(cuda::work_on(exec), run.running(), step, wait)) {
        return 0;
    }
    for (int left = polling_interval - 1;; left = polling_interval) {
        for (; left > 0; --left) {
            step(cuda::work_on(exec));
        }
        wait();
        if (run.fetch_counts(exec).rows == 0) {
            return polling_interval;
        }
    }
}

// Waits for the enqueued steps, and tells the observer of each as it is done.
template <class Run, class Replay>
void watch(const cuda_executor& exec, const Run& run, Replay& replay) {
    try {
        for (bool done = false; !done;) {
            done = is_done(exec.stream);
            if (!replay(run.trace(), cuda::read_while_written(*run.trace().calls))) {
                run.stop();
            }
            if (!done) {
                std::this_thread::yield();
            }
        }
    } catch (...) {
        run.stop();
        synchronize(exec.stream); // before the memory goes that it writes to
        throw;
    }
}

template <class Model, class Policies, class Observer>
statistics sample_on_device(const cuda_executor& exec, Model& model, canvas& page, std::uint64_t seed,
                            const Policies& policies, Observer& observer) {
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
        if (page.masked() == 0) {
            return;
        }
        using replay_type = cuda::device_replay<Observer>;
        const cuda::device_run<Model, Policies> run(exec, model, page, seed, policies, done, replay_type::observed);
        replay_type replay(page, counts, observer);
        counts.polling_interval = run_to_the_end(exec, run, [&] {
            if constexpr (replay_type::observed) {
                watch(exec, run, replay);
            } else {
                synchronize(exec.stream);
            }
        });
        auto results = run.fetch(exec);
        for (const cuda::device_sequence& sequence : results.sequences) {
            if (sequence.fault >= 0 && !replay.has_ended()) {
                run.throw_fault(exec, sequence.first + sequence.fault, sequence.fault_is_score);
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

} // namespace detail

/// The sampler on the GPU: with this header included, it takes a cuda_executor, and a device_denoiser.
template <std::derived_from<cuda_executor> Executor>
struct sampler_backend<Executor> {
    /// Fills the canvas; returns when the GPU has done it. If it throws, the canvas is as it was.
    template <class Model, class Policies, class Observer>
    static statistics run(const Executor& exec, Model& model, canvas& page, std::uint64_t seed,
                          const Policies& policies, Observer& observer) {
        if constexpr (detail::check_on_device<Model, Policies>()) {
            return detail::sample_on_device(exec, model, page, seed, policies, observer);
        } else {
            return {};
        }
    }
};

UNMASK_NAMESPACE_END
