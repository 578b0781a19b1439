// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "race_detector.hpp"

#include <algorithm>

namespace emulator {
namespace {

// Code of one program lies within 2 GiB, so that half a pointer tells an instruction.
const char fixed = 0;

std::int32_t distance(const void* code) {
    return static_cast<std::int32_t>(reinterpret_cast<std::intptr_t>(code) - reinterpret_cast<std::intptr_t>(&fixed));
}
const void* code_at(std::int32_t distance) {
    return reinterpret_cast<const void*>(reinterpret_cast<std::intptr_t>(&fixed) + distance);
}

int warp_of(int thread) {
    return thread / 32;
}

} // namespace

// Clocks go on from block to block, which makes all that earlier blocks did old, without touching the cells.
void race_detector::begin_block(std::size_t shared_bytes) {
    block_barrier();
    block_start_ = last_barrier_;
    cells_.resize(std::max(cells_.size(), (shared_bytes + bytes_a_cell - 1) / bytes_a_cell));
}

void race_detector::block_barrier() {
    last_barrier_ = *std::max_element(clocks_.begin(), clocks_.end()) + 1;
    clocks_.fill(last_barrier_);
}

bool race_detector::is_unordered(const record& before, int thread) const {
    const int warp = warp_of(thread);
    return before.clock >= last_barrier_ && before.thread != thread &&
           (warp_of(before.thread) != warp || before.clock == clocks_[static_cast<std::size_t>(warp)]);
}

race_detector::record race_detector::now(const shared_access& access) const {
    return {clocks_[static_cast<std::size_t>(warp_of(access.thread))], distance(access.code),
            static_cast<std::int16_t>(access.thread), false};
}

// Reads of two warps since the last barrier race with any write; so do, within the warp, reads of two threads at one
// time.
void race_detector::remember_read(cell& where, const record& read) const {
    if (where.read.thread != read.thread && where.read.clock >= last_barrier_) {
        if (where.also_read.clock >= last_barrier_ && warp_of(where.read.thread) != warp_of(where.also_read.thread)) {
            return;
        }
        where.also_read = where.read;
    }
    where.read = read;
}

std::span<race_detector::cell> race_detector::cells_of(const shared_access& access) {
    const std::size_t begin = access.offset / bytes_a_cell;
    const std::size_t end = (access.offset + access.bytes + bytes_a_cell - 1) / bytes_a_cell;
    return std::span(cells_).subspan(begin, end - begin);
}

std::optional<conflict> race_detector::conflict_with_write(const record& written, int thread) const {
    const bool in_flight = written.in_flight && written.clock >= block_start_;
    const bool unordered = is_unordered(written, thread);
    if (!in_flight && !unordered) {
        return std::nullopt;
    }
    return conflict{unordered ? fault_kind::race : fault_kind::in_flight, written.thread, code_at(written.code),
                    in_flight ? access_kind::copy : access_kind::write};
}

std::optional<conflict> race_detector::read(const shared_access& access) {
    const record reading = now(access);
    for (cell& each : cells_of(access)) {
        if (each.written.clock < block_start_) {
            return conflict{fault_kind::uninitialised, -1, nullptr, access_kind::read};
        }
        if (const auto found = conflict_with_write(each.written, access.thread)) {
            return found;
        }
        remember_read(each, reading);
    }
    return std::nullopt;
}

std::optional<conflict> race_detector::check_write(const shared_access& access) {
    for (const cell& each : cells_of(access)) {
        if (const auto found = conflict_with_write(each.written, access.thread)) {
            return found;
        }
        for (const record* read : {&each.read, &each.also_read}) {
            if (is_unordered(*read, access.thread)) {
                return conflict{fault_kind::race, read->thread, code_at(read->code), access_kind::read};
            }
        }
    }
    return std::nullopt;
}

std::optional<conflict> race_detector::write(const shared_access& access) {
    const auto found = check_write(access);
    end_copy(access);
    return found;
}

std::optional<conflict> race_detector::begin_copy(const shared_access& access) {
    const auto found = check_write(access);
    record writing = now(access);
    writing.in_flight = true;
    for (cell& each : cells_of(access)) {
        each.written = writing;
    }
    return found;
}

void race_detector::end_copy(const shared_access& access) {
    const record written = now(access);
    for (cell& each : cells_of(access)) {
        each.written = written;
    }
}

} // namespace emulator
