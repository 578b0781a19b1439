// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "block.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "address_range.hpp"

namespace emulator {
namespace {

std::string name_of(int thread) {
    return "thread " + std::to_string(thread) + " (warp " + std::to_string(thread / 32) + ", lane " +
           std::to_string(thread % 32) + ")";
}

std::string to_string(call_site where) {
    return std::string(where.file) + ":" + std::to_string(where.line);
}

bool is_same(call_site a, call_site b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

} // namespace

block_runner::block_runner() : shared_end_(new_shared_slot()) {}

std::optional<finding> block_runner::run(const grid& size, int block, const std::function<void()>& kernel) {
    block_ = block;
    thread_count_ = size.threads;
    // At the end of its pages, as device memory is.
    shared_ = shared_end_ - (size.shared_bytes + 127) / 128 * 128;
    shared_bytes_ = size.shared_bytes;
    std::memset(shared_, 0xff, shared_bytes_);
    races_.begin_block(shared_bytes_);
    threads_.resize(std::max(threads_.size(), static_cast<std::size_t>(size.threads)));
    for (thread_state& each : threads_) {
        each.waits_in = nullptr;
        each.has_finished = false;
        each.copies.copies.clear();
        each.copies.open_group = 0;
    }
    all_.arrived = 0;
    for (meeting& each : warps_) {
        each.arrived = 0;
    }
    found_.reset();

    const std::function<void()> body = [&] {
        kernel();
        threads_[static_cast<std::size_t>(thread())].has_finished = true;
    };
    running_block = this;
    fibers_.run(size.threads, body, current_settings().seed * 7919U + static_cast<unsigned>(block) * 104729U + 1U);
    running_block = nullptr;
    ++counted.blocks;
    const auto has_finished = [](const thread_state& each) { return each.has_finished; };
    if (!found_ && !std::all_of(threads_.begin(), threads_.begin() + size.threads, has_finished)) {
        found_ = finding{fault_kind::stuck, "no thread can go on" + states()};
    }
    return std::exchange(found_, std::nullopt);
}

void block_runner::fail(finding found) {
    found_ = std::move(found);
    fibers_.abandon();
}

void block_runner::check(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    if (shared_part.contains(pointer)) {
        check_shared(pointer, bytes, kind, code);
    } else {
        check_device(pointer, bytes, kind, code);
    }
}

void block_runner::check_shared(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    const auto offset = reinterpret_cast<std::intptr_t>(pointer) - reinterpret_cast<std::intptr_t>(shared_);
    if (offset < 0 || static_cast<std::size_t>(offset) + bytes > shared_bytes_) {
        fail({fault_kind::out_of_bounds,
              action(kind, bytes) + " at byte " + std::to_string(offset) + " of the block's " +
                  std::to_string(shared_bytes_) + " bytes of shared memory",
              code});
    }
    const shared_access access{static_cast<std::size_t>(offset), bytes, thread(), code};
    const auto found = kind == access_kind::read    ? races_.read(access)
                       : kind == access_kind::write ? races_.write(access)
                                                    : races_.begin_copy(access);
    if (!found) {
        return;
    }
    finding result{found->kind, action(kind, bytes) + " at byte " + std::to_string(offset) + " of shared memory", code};
    if (found->thread >= 0) {
        const char* const earlier[] = {" read there", " wrote there", " copies there"};
        result.earlier = name_of(found->thread) + earlier[static_cast<int>(found->earlier)];
        result.earlier_code = found->code;
    }
    fail(std::move(result));
}

void block_runner::check_device(const void* pointer, std::size_t bytes, access_kind kind, const void* code) {
    if (const auto bad = check_device_access(pointer, bytes)) {
        fail({bad->kind, action(kind, bytes) + " at " + bad->where, code});
    }
}

void block_runner::check_alignment(const void* pointer, std::size_t alignment, access_kind kind, const void* code) {
    const auto beyond = reinterpret_cast<std::uintptr_t>(pointer) % alignment;
    if (beyond != 0) {
        fail({fault_kind::misaligned,
              action(kind, alignment) + " at an address that is " + std::to_string(beyond) + " beyond a multiple of " +
                  std::to_string(alignment),
              code});
    }
}

void block_runner::end_copy(const pending_copy& copy) {
    races_.end_copy({static_cast<std::size_t>(copy.to - shared_), 16, thread(), copy.code});
}

void block_runner::barrier(call_site where) {
    meet(all_, 0, thread_count_, "barrier", where, [&] {
        races_.block_barrier();
        ++counted.barriers;
    });
}

void block_runner::meet_in_block(const char* call, int threads, void* brought, call_site where,
                                 const std::function<void(void* const*)>& work) {
    if (threads != thread_count_) {
        fail({fault_kind::divergence, std::string(call) + " is for " + std::to_string(threads) + " threads, not " +
                                          std::to_string(thread_count_)});
    }
    brought_[static_cast<std::size_t>(thread())] = brought;
    meet(all_, 0, thread_count_, call, where, [&] {
        work(brought_.data());
        races_.block_barrier();
        ++counted.barriers;
    });
}

void block_runner::warp_barrier(call_site where) {
    const int warp = thread() / 32;
    meet(meeting_of_warp(), warp * 32, 32, "warp_barrier", where, [&] { races_.warp_barrier(warp); });
}

void block_runner::check_same_call(const meeting& here, const char* call, call_site where) {
    if (here.arrived > 0 && (!is_same(here.where, where) || here.call != call)) {
        fail({fault_kind::divergence, name_of(thread()) + " calls " + call + " at " + to_string(where) +
                                          " while others wait for it in " + here.call + " at " + to_string(here.where) +
                                          states()});
    }
}

std::string block_runner::action(access_kind kind, std::size_t bytes) const {
    const char* const verbs[] = {" reads ", " writes ", " copies to shared memory "};
    return name_of(thread()) + verbs[static_cast<int>(kind)] + std::to_string(bytes) + " bytes";
}

// "warp 0: lanes 0-15 in barrier at file:line; lanes 16-31 finished"
std::string block_runner::states() const {
    const auto state = [&](int thread) -> std::string {
        const thread_state& it = threads_[static_cast<std::size_t>(thread)];
        if (it.has_finished) {
            return " finished";
        }
        return it.waits_in == nullptr ? " can run" : std::string(" in ") + it.waits_in + " at " + to_string(it.where);
    };
    std::string result;
    for (int begin = 0, end = 0; begin < thread_count_; begin = end) {
        const bool opens_warp = begin % 32 == 0;
        const std::string common = state(begin);
        for (end = begin + 1; end < thread_count_ && end % 32 != 0 && state(end) == common;) {
            ++end;
        }
        result += opens_warp ? "\n  warp " + std::to_string(begin / 32) + ": " : "; ";
        result += "lanes " + std::to_string(begin % 32) + "-" + std::to_string((end - 1) % 32) + common;
    }
    return result;
}

} // namespace emulator
