// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fibers.hpp"

#include <new>

#include <sys/mman.h>

namespace emulator {
namespace {

constexpr std::size_t stack_size = 128 * 1024; // what is never touched costs nothing
constexpr std::size_t guard = 4096;

std::size_t size_of(int stacks) {
    return static_cast<std::size_t>(stacks) * stack_size;
}

} // namespace

fibers::~fibers() {
    if (stacks_ != nullptr) {
        munmap(stacks_, size_of(stack_count_));
    }
}

void fibers::make_stacks(int count) {
    if (stacks_ != nullptr) {
        munmap(stacks_, size_of(stack_count_));
        stacks_ = nullptr;
    }
    void* const memory = mmap(nullptr, size_of(count), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    stacks_ = static_cast<std::byte*>(memory);
    stack_count_ = count;
    for (int i = 0; i < count; ++i) {
        (void)mprotect(stacks_ + size_of(i), guard, PROT_NONE);
    }
}

// Staggered: at one distance from a page, all tops would compete for the same few lines of the cache.
void* fibers::top_of_stack(int which) const {
    return stacks_ + size_of(which + 1) - 64 * (which * 5 % 64);
}

void fibers::run(int count, const std::function<void()>& body, unsigned seed) {
    if (count > stack_count_) {
        make_stacks(count);
    }
    body_ = &body;
    random_.seed(seed);
    all_.clear();
    runnable_.clear();
    for (int i = 0; i < count; ++i) {
        all_.push_back({boost::context::detail::make_fcontext(top_of_stack(i), stack_size - 2 * guard, enter), this});
        runnable_.push_back(i);
    }
    running_ = &host_;
    go_on();
}

void fibers::enter(boost::context::detail::transfer_t from) {
    auto& previous = *static_cast<fiber*>(from.data);
    previous.context = from.fctx;
    fibers& self = *previous.owner;
    (*self.body_)();
    self.go_on();
}

void fibers::yield() {
    resume(current());
    go_on();
}

void fibers::abandon() {
    switch_to(host_);
    __builtin_unreachable();
}

void fibers::go_on() {
    if (runnable_.empty()) {
        switch_to(host_);
        return;
    }
    int& chosen = runnable_[random_() % runnable_.size()];
    fiber& next = all_[static_cast<std::size_t>(chosen)];
    chosen = runnable_.back();
    runnable_.pop_back();
    switch_to(next);
}

void fibers::switch_to(fiber& next) {
    if (&next == running_) {
        return;
    }
    fiber* const self = running_;
    running_ = &next;
    const boost::context::detail::transfer_t from = boost::context::detail::jump_fcontext(next.context, self);
    static_cast<fiber*>(from.data)->context = from.fctx;
}

} // namespace emulator
