// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <vector>

#include "warp.hpp"

namespace ptx {

// Runs blocks of a launch, one after the other. The lanes of a warp go together. Where they part, those at the lowest
// instruction go on until they are where the others are.
class block_runner {
public:
    block_runner(const kernel_launch& launch, const allocation_table& table);

    // Throws fault.
    void run(std::uint64_t block, unsigned seed);

    [[nodiscard]] const counters& counted() const { return block_.counted; }

private:
    void begin(warp& w);
    void meet_at_barrier();
    void reduce_at_barrier(const instruction& i);
    void execute(warp& w);
    bool choose(warp& w);
    bool gather(warp& w, std::uint32_t needed);
    void release(warp& w);
    bool control(warp& w, const instruction& i);
    void branch(warp& w, const instruction& i);
    void branch_by_index(warp& w, const instruction& i);
    bool wait_for_block(warp& w, const instruction& i);
    void with_lanes_of_warp(warp& w, const instruction& i);
    [[nodiscard]] const instruction& code_at(std::int32_t pc) const;

    const kernel_launch& launch_;
    const lowered_kernel& kernel_;
    running_block block_;
    std::vector<warp> warps_;
    std::vector<char> shared_, registers_, constants_;
    std::vector<std::uint32_t> predicates_;
    int budget_ = 0; // control instructions until a warp is stopped
};

} // namespace ptx
