// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/graph_loop.cuh>
#include <unmask/cuda/runtime/mapped_memory.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/executor/caching_memory_resource.cuh>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/replay.cuh>
#include <unmask/sampler/detail/device/run.cuh>
#include <unmask/tensor/device_memory.cuh>

// A run on the GPU with its graph: from the first step to the last.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

// What is kept of a run, whatever its type.
struct kept_run {
    kept_run() = default;
    kept_run(const kept_run&) = delete;
    kept_run& operator=(const kept_run&) = delete;
    virtual ~kept_run() = default;
};

template <class Model, class Policies>
class graph_run final : public kept_run {
public:
    using run_type = device_run<Model, Policies>;

    graph_run(const cuda_executor& exec, Model& model, const canvas& page, std::uint64_t seed, const Policies& policies,
              const std::vector<bool>& done, bool watched)
        : exec_(exec), policies_(policies), scratch_(exec), run_(exec, model, page, seed, policies_, done, watched) {}

    // Begins again with another canvas; false if it needs a run of its own.
    bool restart(const canvas& page, std::uint64_t seed, const std::vector<bool>& done, bool watched) {
        return run_.is_watched() == watched && run_.restart(exec_, page, seed, done);
    }

    // Runs steps until the canvas is full, and waits for the end; returns how many steps may have had nothing to do. A
    // watched run is told to `replay` as it goes on.
    template <class Replay>
    index_t operator()(Replay& replay) {
        try {
            return run_to_the_end(replay);
        } catch (...) {
            if (run_.is_watched()) {
                run_.stop();
            }
            wait_for_all(exec_.stream); // before the memory goes that kernels write to
            throw;
        }
    }

    [[nodiscard]] const run_type& run() const { return run_; }

private:
    template <class Replay>
    index_t run_to_the_end(Replay& replay) {
        run_.enqueue_plan(exec_);
        if (!loop_.is_recorded()) {
            run_.enqueue_step(exec_); // outside of a graph: CUDA loads kernels at their first call
            (void)loop_.record(run_.running(), recorded_memory(),
                               [&](const work_stream& on) { run_.enqueue_step(cuda_executor{on.stream, on.memory}); });
        }
        if (!loop_.is_recorded()) {
            run_on_host(replay);
            return 1;
        }
        loop_.run(exec_.stream);
        while (Replay::observed && !is_done(exec_.stream)) {
            tell(replay);
        }
        synchronize(exec_.stream);
        tell(replay);
        return 0;
    }

    // Steps that the host enqueues, from the second on. It is a step ahead of the device, which never waits for it, and
    // that step has nothing to do in the end.
    template <class Replay>
    void run_on_host(Replay& replay) {
        constexpr int unknown = -1;
        if (!answers_) {
            answers_.emplace(2 * sizeof(int));
        }
        int* const answers = static_cast<int*>(answers_->data()); // rows of the next step, after an even and an odd one
        const auto ask = [&](int step) {
            std::atomic_ref(answers[step % 2]).store(unknown, std::memory_order_relaxed);
            copy_to_host(answers + step % 2, run_.running(), sizeof(int), exec_.stream);
        };
        const auto answer = [&](int step) {
            return std::atomic_ref(answers[step % 2]).load(std::memory_order_acquire);
        };
        ask(0);
        for (int step = 1;; ++step) {
            run_.enqueue_step(exec_);
            ask(step);
            while (answer(step - 1) == unknown && !is_done(exec_.stream)) {
                tell(replay);
            }
            tell(replay);
            if (answer(step - 1) == 0) {
                return synchronize(exec_.stream);
            }
        }
    }

    // Where the recorded step takes scratch memory from, which the graph uses for as long as it is kept.
    device_memory_resource* recorded_memory() {
        const bool keeps = exec_.memory != nullptr && exec_.memory->keeps_captured_memory();
        return keeps ? exec_.memory : &scratch_;
    }

    // Tells the observer of what is done by now.
    template <class Replay>
    void tell(Replay& replay) const {
        if constexpr (Replay::observed) {
            if (!replay(run_.trace(), read_while_written(*run_.trace().calls))) {
                run_.stop();
            }
        }
        std::this_thread::yield(); // it is the device's turn
    }

    cuda_executor exec_;
    Policies policies_;
    caching_memory_resource scratch_;
    run_type run_;
    graph_loop loop_;
    std::optional<mapped_memory> answers_; // of the device, if the host has to ask
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
