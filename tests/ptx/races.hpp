// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <vector>

#include "kernel.hpp"

// Who wrote and read each byte of a block's shared memory. Threads are ordered by the block's barriers, those of a warp
// also by bar.warp.sync of the whole warp.
namespace ptx {

enum class access_kind {
    read,
    read_some, // a vector, which the compiler may have made wider than what is used of it
    write,
    copy, // an asynchronous one begins
};

class shared_watch {
public:
    // Forgets all that was before, for a block of so many warps; of 0 bytes nothing is watched.
    void begin(std::uint64_t bytes, std::size_t warps);
    [[nodiscard]] bool is_on() const { return !bytes_.empty(); }

    // An access of shared memory by a lane: throws fault.
    void see(const warp& w, const instruction& i, int lane, std::uint64_t address, std::uint64_t bytes,
             access_kind kind);
    // The lane that copied has waited: from here on it has written the bytes.
    void landed(const warp& w, std::uint32_t address, std::uint32_t bytes);

    void block_barrier() { ++epoch_; }
    void warp_barrier(int warp) { ++warp_epochs_[static_cast<std::size_t>(warp)]; }

private:
    // When and by whom; epoch 0: never.
    struct touch {
        std::uint32_t epoch = 0, warp_epoch = 0;
        std::int16_t warp = 0, lane = 0; // `several` of either
    };
    static constexpr std::int16_t several = -1;
    struct watched_byte {
        touch written, read;
        bool in_flight = false;
        bool initialised = false;
    };
    [[nodiscard]] bool is_unordered(const touch& before, const touch& now) const;

    std::vector<watched_byte> bytes_;
    std::vector<std::uint32_t> warp_epochs_;
    std::uint32_t epoch_ = 1;
};

} // namespace ptx
