// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "progress.hpp"
#include "run_job.hpp"

namespace sink_study {

/// Works through jobs, some at a time, each on one thread. A job whose result there is is never run again.
class grid {
public:
    /// Stop is asked often, from several threads.
    grid(study_size size, const study_data& data, study_folders folders, std::function<bool()> stop,
         bool on_gpu = false)
        : size_(std::move(size)), data_(data), folders_(std::move(folders)), stop_(std::move(stop)), on_gpu_(on_gpu) {}

    /// Returns the number of jobs that were finished by this call. When one fails the others stop as if they had been
    /// told to, and its exception is thrown.
    index_t run(const std::vector<job>& jobs, int threads, double report_every = 30.0) {
        jobs_.clear();
        for (const job& each : jobs) {
            if (!std::filesystem::exists(folders_.result(each))) {
                jobs_.push_back(each);
                left_ += cost_of(each, size_.steps_of(each));
            }
        }
        std::printf("%zu of %zu jobs to do, %d at a time\n", jobs_.size(), jobs.size(), threads);
        std::fflush(stdout);
        running_.resize(static_cast<std::size_t>(threads));
        start_ = clock::now();
        working_ = threads;
        std::vector<std::thread> workers;
        for (int worker = 0; worker < threads; ++worker) {
            workers.emplace_back([this, worker] { work(running_[static_cast<std::size_t>(worker)]); });
        }
        {
            std::unique_lock lock(mutex_);
            while (!ended_.wait_for(lock, std::chrono::duration<double>(report_every), [&] { return working_ == 0; })) {
                report();
            }
        }
        for (std::thread& worker : workers) {
            worker.join();
        }
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        std::printf("%lld of %zu jobs done\n", static_cast<long long>(done_), jobs_.size());
        return done_;
    }

private:
    using clock = std::chrono::steady_clock;

    struct running_job {
        const job* which = nullptr;
        index_t step = 0;
        double bits = 0.0; ///< running mean of the loss
    };

    void work(running_job& own) {
        std::unique_lock lock(mutex_);
        while (next_ < jobs_.size() && !stop_() && !failure_) {
            const job& which = jobs_[next_++];
            own = {&which, 0, 0.0};
            lock.unlock();
            bool finished = false;
            std::exception_ptr failure;
            try {
                finished = run_job(which, size_, data_, folders_, control(own));
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            own.which = nullptr;
            if (failure && !failure_) {
                failure_ = failure;
                failed_ = true;
            }
            if (finished) {
                ++done_;
                std::printf("%s  %s\n", which.name().c_str(),
                            read_result(folders_.result(which)).at("held_out").dump().c_str());
                std::fflush(stdout);
            }
        }
        --working_;
        ended_.notify_all();
    }

    job_control control(running_job& own) {
        job_control result;
        result.on_gpu = on_gpu_;
        result.stop = [this] { return failed_ || stop_(); };
        result.progress = [this, &own](index_t step, double bits) {
            const std::scoped_lock lock(mutex_);
            const index_t steps = own.step == 0 ? 1 : step - own.step;
            left_ -= cost_of(*own.which, own.step == 0 ? step : steps); // what a state had is not to be done again
            worked_ += cost_of(*own.which, steps);
            own.bits = own.step == 0 ? bits : 0.98 * own.bits + 0.02 * bits;
            own.step = step;
        };
        return result;
    }

    // In products of one weight and one token.
    [[nodiscard]] double cost_of(const job& which, index_t steps) const {
        const task_size& task = size_.of(which);
        const model_shape& shape = task.shape;
        const index_t weights = shape.layers * shape.width * (4 * shape.width + 3 * shape.ffn);
        const index_t tokens = task.batch * task.length * (in_blocks(which.variant) ? 2 : 1);
        return static_cast<double>(weights) * static_cast<double>(tokens) * static_cast<double>(steps);
    }

    void report() const {
        const double elapsed = std::chrono::duration<double>(clock::now() - start_).count();
        for (const running_job& each : running_) {
            if (each.which != nullptr) {
                std::printf("%s  step %lld/%lld  loss %.3f bits  elapsed %s  left for all %s\n",
                            each.which->name().c_str(), static_cast<long long>(each.step),
                            static_cast<long long>(size_.steps_of(*each.which)), each.bits, clock_time(elapsed).c_str(),
                            worked_ > 0.0 ? clock_time(elapsed * left_ / worked_).c_str() : "unknown");
            }
        }
        std::fflush(stdout);
    }

    study_size size_;
    const study_data& data_;
    study_folders folders_;
    std::function<bool()> stop_;
    bool on_gpu_;
    std::atomic<bool> failed_ = false;

    std::mutex mutex_; ///< of all below
    std::condition_variable ended_;
    std::vector<job> jobs_;
    std::vector<running_job> running_;
    std::size_t next_ = 0;
    index_t done_ = 0;
    int working_ = 0;
    double left_ = 0.0;
    double worked_ = 0.0;
    clock::time_point start_;
    std::exception_ptr failure_;
};

} // namespace sink_study
