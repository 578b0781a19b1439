// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "launch.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "block.hpp"
#include "source_line.hpp"

namespace emulator {
namespace {

settings in_force;
counters counted;
std::atomic<const void*> host_access = nullptr;

// What runs blocks is dear, for its stacks, and serves all launches.
class runner_pool {
public:
    std::unique_ptr<block_runner> take() {
        const std::lock_guard lock(mutex_);
        if (idle_.empty()) {
            return std::make_unique<block_runner>();
        }
        auto runner = std::move(idle_.back());
        idle_.pop_back();
        return runner;
    }
    void give_back(std::unique_ptr<block_runner> runner) {
        const std::lock_guard lock(mutex_);
        add(std::exchange(runner->counted, {}));
        idle_.push_back(std::move(runner));
    }

private:
    static void add(const counters& more) {
        counted.blocks += more.blocks;
        counted.barriers += more.barriers;
        counted.multiply_adds += more.multiply_adds;
        counted.matrix_loads += more.matrix_loads;
        counted.copies += more.copies;
        counted.invalid_copies += more.invalid_copies;
    }

    std::mutex mutex_;
    std::vector<std::unique_ptr<block_runner>> idle_;
};
runner_pool runners;

const char* name_of(fault_kind kind) {
    const char* const names[] = {"race",          "bytes in flight", "uninitialised read",
                                 "out of bounds", "use after free",  "misaligned",
                                 "divergence",    "stuck",           "host access"};
    return names[static_cast<int>(kind)];
}

[[noreturn]] void throw_fault(const finding& found, const std::string& place) {
    std::string what = std::string(name_of(found.kind)) + place + ": " + found.text;
    if (found.code != nullptr) {
        what += source_line(found.code);
    }
    if (found.earlier_code != nullptr) {
        what += "; " + found.earlier + source_line(found.earlier_code);
    }
    throw fault(found.kind, what);
}

} // namespace

const settings& current_settings() {
    return in_force;
}
counters& counts() {
    return counted;
}

scoped_settings::scoped_settings(const settings& wanted) : before_(std::exchange(in_force, wanted)) {}
scoped_settings::~scoped_settings() {
    in_force = before_;
}

void note_host_access(const void* code) {
    host_access = code;
}

bool is_possible(const grid& size) {
    return size.blocks > 0 && size.threads > 0 && size.threads <= 1024 &&
           size.shared_bytes <= in_force.shared_bytes_a_block;
}

// There are no registers here: 128 for each thread are assumed, of 64 K. A block's first kilobyte is CUDA's own.
int resident_blocks(const grid& block) {
    const std::size_t by_memory = in_force.shared_bytes_a_multiprocessor / (block.shared_bytes + 1024);
    return std::min(static_cast<int>(by_memory), 512 / block.threads);
}

void launch(const grid& size, const std::function<void()>& kernel) {
    if (const void* const code = host_access.exchange(nullptr)) {
        throw_fault({fault_kind::host_access, "code of the host touched device memory", code}, "");
    }
    ++counted.launches;
    std::atomic<int> next = 0;
    std::mutex mutex;
    std::optional<finding> first;
    int first_block = size.blocks;
    const auto run_blocks = [&] {
        auto runner = runners.take();
        for (int block = next++; block < size.blocks; block = next++) {
            if (auto found = runner->run(size, block, kernel)) {
                next = size.blocks;
                const std::lock_guard lock(mutex);
                if (block < first_block) {
                    first_block = block;
                    first = std::move(found);
                }
            }
        }
        runners.give_back(std::move(runner));
    };
    std::vector<std::thread> others;
    for (int i = 1; i < std::min(in_force.os_threads, size.blocks); ++i) {
        others.emplace_back(run_blocks);
    }
    run_blocks();
    for (std::thread& each : others) {
        each.join();
    }
    if (first) {
        throw_fault(*first, " in block " + std::to_string(first_block));
    }
}

} // namespace emulator
