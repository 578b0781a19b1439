// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Attention on threads of your own. Any type with workers() and parallel_for(tasks, body) is an executor: this one
// hands the tasks to a pool that lives as long as the program likes. The sampler takes it as well.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/block.hpp>

using unmask::index_t;

/// Threads that wait for work. One piece of work at a time, done by all of them.
class thread_pool {
public:
    explicit thread_pool(int size) {
        for (int worker = 0; worker < size; ++worker) {
            threads_.emplace_back([this, worker] { serve(worker); });
        }
    }
    ~thread_pool() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    thread_pool(const thread_pool&) = delete;
    thread_pool& operator=(const thread_pool&) = delete;

    [[nodiscard]] int size() const { return static_cast<int>(threads_.size()); }

    /// Calls work(worker) on every thread and returns when all are done.
    void run(const std::function<void(int)>& work) {
        const std::lock_guard one_at_a_time(running_);
        std::unique_lock lock(mutex_);
        work_ = &work;
        busy_ = size();
        ++round_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return busy_ == 0; });
    }

private:
    void serve(int worker) {
        std::size_t seen = 0;
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] { return stopping_ || round_ != seen; });
            if (stopping_) {
                return;
            }
            seen = round_;
            lock.unlock();
            (*work_)(worker);
            lock.lock();
            if (--busy_ == 0) {
                changed_.notify_all();
            }
        }
    }

    std::mutex running_;
    std::mutex mutex_;
    std::condition_variable changed_;
    const std::function<void(int)>* work_ = nullptr;
    std::size_t round_ = 0;
    int busy_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_; // last: they use all of the above
};

/// The pool as an executor.
struct pool_executor {
    thread_pool* pool;

    int workers() const { return pool->size(); }

    template <class Body>
    void parallel_for(index_t tasks, Body&& body) const {
        std::atomic<index_t> next = 0;
        std::exception_ptr failure;
        std::mutex failure_mutex;
        pool->run([&](int worker) {
            for (index_t task = next++; task < tasks; task = next++) {
                try {
                    body(task, worker);
                } catch (...) {
                    const std::lock_guard lock(failure_mutex);
                    failure = std::current_exception();
                }
            }
        });
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
};
static_assert(unmask::host_executor<pool_executor>);

int main() {
    constexpr index_t length = 300;
    constexpr index_t heads = 4;
    constexpr index_t head_dim = 64;
    std::vector<float> query(length * heads * head_dim);
    for (std::size_t i = 0; i < query.size(); ++i) {
        query[i] = static_cast<float>(i * 7919 % 1000) / 500.0F - 1.0F;
    }
    const auto tensors = [&](std::vector<float>& output) {
        const auto input = unmask::view(static_cast<const float*>(query.data()), index_t{1}, length, heads, head_dim);
        return unmask::attention_tensors<float>{.query = input,
                                                .key = input,
                                                .value = input,
                                                .output =
                                                    unmask::view(output.data(), index_t{1}, length, heads, head_dim)};
    };
    std::vector<float> output(query.size());
    std::vector<float> expected(query.size());

    thread_pool pool(3);
    unmask::attention_forward(pool_executor{&pool}, tensors(output), unmask::block{32});
    unmask::attention_forward(unmask::cpu_executor{1}, tensors(expected), unmask::block{32});
    std::printf("%d threads of a pool and one thread give the same bits: %s\n", pool.size(),
                output == expected ? "yes" : "no");
    return output == expected ? 0 : 1;
}
