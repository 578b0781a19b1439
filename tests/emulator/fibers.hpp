// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <functional>
#include <random>
#include <vector>

#include <boost/context/detail/fcontext.hpp>

namespace emulator {

// Functions that run by turns on one thread of the host. Which one goes on is random. Stacks are kept from run to run.
class fibers {
public:
    fibers() = default;
    fibers(const fibers&) = delete;
    fibers& operator=(const fibers&) = delete;
    ~fibers();

    /// Calls body in `count` fibers. Returns when all have finished or wait, or one has abandoned them all.
    void run(int count, const std::function<void()>& body, unsigned seed);

    // For the fiber that runs.
    [[nodiscard]] int current() const { return static_cast<int>(running_ - all_.data()); }
    [[nodiscard]] bool toss_a_coin() { return random_() % 2 == 0; }
    /// Comes back after some other fiber has called resume.
    void wait() { go_on(); }
    void resume(int which) { runnable_.push_back(which); }
    void yield();
    /// Drops all fibers where they are: nothing on their stacks is destroyed.
    [[noreturn]] void abandon();

private:
    struct fiber {
        boost::context::detail::fcontext_t context = nullptr;
        fibers* owner = nullptr;
    };

    static void enter(boost::context::detail::transfer_t from);
    void make_stacks(int count);
    [[nodiscard]] void* top_of_stack(int which) const;
    void go_on();
    void switch_to(fiber& next);

    std::vector<fiber> all_;
    fiber host_{nullptr, this};
    fiber* running_ = nullptr;
    std::vector<int> runnable_;
    const std::function<void()>* body_ = nullptr;
    std::minstd_rand random_;
    std::byte* stacks_ = nullptr;
    int stack_count_ = 0;
};

} // namespace emulator
