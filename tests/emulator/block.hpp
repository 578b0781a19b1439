// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "device_calls.hpp"
#include "emulator.hpp"
#include "fibers.hpp"
#include "launch.hpp"
#include "race_detector.hpp"

namespace emulator {

/// A fault as it is found; who throws it looks up the lines of the instructions.
struct finding {
    fault_kind kind;
    std::string text;
    const void* code = nullptr;
    std::string earlier{}; // what it is at odds with
    const void* earlier_code = nullptr;
};

/// Sixteen bytes under way.
struct pending_copy {
    std::byte* to;
    const std::byte* from; // null: zeros
    int group;
    bool has_landed; // its bytes are there; it counts as under way nevertheless
    const void* code;
};

struct copy_queue {
    std::vector<pending_copy> copies;
    int open_group = 0;
    bool open_group_is_early = false;
};

// A block: its threads, where they wait for each other, and its shared memory. Serves one block after another.
class block_runner {
public:
    block_runner();

    std::optional<finding> run(const grid& size, int block, const std::function<void()>& kernel);

    // For the thread that runs.
    [[nodiscard]] int thread() const { return fibers_.current(); }
    [[nodiscard]] int block() const { return block_; }
    [[nodiscard]] std::byte* shared_memory() const { return shared_; }
    [[nodiscard]] copy_queue& copies() { return threads_[static_cast<std::size_t>(thread())].copies; }
    [[nodiscard]] bool toss_a_coin() { return fibers_.toss_a_coin(); }

    /// Finds fault with an access to shared memory, or to device memory.
    void check(const void* pointer, std::size_t bytes, access_kind kind, const void* code);
    void check_shared(const void* pointer, std::size_t bytes, access_kind kind, const void* code);
    void check_device(const void* pointer, std::size_t bytes, access_kind kind, const void* code);
    void check_alignment(const void* pointer, std::size_t alignment, access_kind kind, const void* code);
    void end_copy(const pending_copy& copy);

    void barrier(call_site where);
    void meet_in_block(const char* call, int threads, void* brought, call_site where,
                       const std::function<void(void* const*)>& work);
    void warp_barrier(call_site where);
    /// The last lane of the warp to come calls work(lanes), where lanes(i) is what lane i came with.
    template <class Lane, class Work>
    void meet_in_warp(const char* call, call_site where, Lane& lane, Work work);

    [[noreturn]] void fail(finding found);

    counters counted;

private:
    struct thread_state {
        const char* waits_in = nullptr; // the name of a call; null: it runs
        call_site where{};
        bool has_finished = false;
        copy_queue copies;
    };
    struct meeting {
        const char* call = "";
        call_site where;
        int arrived = 0;
        std::array<void*, 32> lanes{};
    };

    template <class Work>
    void meet(meeting& here, int first, int size, const char* call, call_site where, Work work);
    meeting& meeting_of_warp() { return warps_[static_cast<std::size_t>(thread()) / 32]; }
    void check_same_call(const meeting& here, const char* call, call_site where);
    [[nodiscard]] std::string action(access_kind kind, std::size_t bytes) const;
    [[nodiscard]] std::string states() const;

    int block_ = 0;
    int thread_count_ = 0;
    fibers fibers_;
    std::vector<thread_state> threads_;
    std::array<meeting, 32> warps_{};
    meeting all_;
    std::array<void*, 1024> brought_{}; // to it, by the threads
    std::byte* const shared_end_;
    std::byte* shared_ = nullptr;
    std::size_t shared_bytes_ = 0;
    race_detector races_;
    std::optional<finding> found_;
};

/// The block of the thread that runs; null on the host.
inline constinit thread_local block_runner* running_block = nullptr;

// Threads [first, first + size) meet. The last to come does the work, and then it is anybody's turn.
template <class Work>
void block_runner::meet(meeting& here, int first, int size, const char* call, call_site where, Work work) {
    check_same_call(here, call, where);
    here.call = call;
    here.where = where;
    if (++here.arrived < size) {
        thread_state& self = threads_[static_cast<std::size_t>(thread())];
        self.waits_in = call;
        self.where = where;
        fibers_.wait();
        return;
    }
    here.arrived = 0;
    work();
    for (int other = first; other < first + size; ++other) {
        threads_[static_cast<std::size_t>(other)].waits_in = nullptr;
        if (other != thread()) {
            fibers_.resume(other);
        }
    }
    fibers_.yield();
}

template <class Lane, class Work>
void block_runner::meet_in_warp(const char* call, call_site where, Lane& lane, Work work) {
    meeting& here = meeting_of_warp();
    here.lanes[static_cast<std::size_t>(thread()) % 32] = &lane;
    meet(here, thread() / 32 * 32, 32, call, where, [&] {
        work([&](int other) -> Lane& { return *static_cast<Lane*>(here.lanes[static_cast<std::size_t>(other)]); });
    });
}

} // namespace emulator
