// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

// A machine on the host that runs the PTX which nvcc makes of kernels. Its library takes the place of libcudart:
// programs that nvcc compiled, with PTX for one virtual architecture embedded and --no-compress, are linked with it and
// run unmodified. Parts:
//
//     parser          PTX text as functions, variables and statements
//     lowering/       places for registers, constants, contraction of products and sums as ptxas does it
//     instructions/   what each PTX instruction does, after the PTX ISA
//     block_runner    the warps of a block, in turn; lanes that part and meet again; barriers
//     races           who wrote and read each byte of shared memory
//     device_memory   allocations, which kernels alone can reach and must not leave
//     runtime/        the CUDA runtime: registration, launches, memory, streams, capture, graphs
//
// What a GPU would fault on is a fault here, and so is much that a GPU lets pass. Registers, shared memory and new
// allocations are filled with NaN.
//
// Not seen: what ptxas does beyond contraction, the order in which a GPU's multiprocessors see each other's writes,
// and time. Blocks run one after the other, or `threads` at once. Sums of tensor cores are a model: eight products at
// a time, cut off at 24 bits. Of lanes that parted, those at the lowest instruction go on first.
//
// This header is what tests see of the machine that run on it alone.
namespace ptx {

/// When the bytes of an asynchronous copy arrive.
enum class arrival {
    late,   // at the wait
    early,  // when the copy is issued
    random, // by copy; of late ones, some destinations hold NaN until then
};

/// What is done, and on what device. Each comes from an environment variable where that is set; flags are 0 or 1.
struct settings {
    unsigned seed = 1;           ///< UNMASK_PTX_SEED: the order of blocks and warps, where warps are stopped, arrivals
    bool in_order = false;       ///< UNMASK_PTX_IN_ORDER: nothing at random, and copies arrive late
    bool contract = false;       ///< UNMASK_PTX_CONTRACT: mul and add without .rn become fma, as ptxas makes them
    bool approximate = false;    ///< UNMASK_PTX_APPROXIMATE: ex2, lg2, rcp … miss by a unit in the last place
    bool exact_products = false; ///< UNMASK_PTX_EXACT_PRODUCTS: sums of tensor cores are rounded once
    bool watch = false;          ///< UNMASK_PTX_WATCH: races, and shared memory that nobody wrote, are faults
    int threads = 1;             ///< UNMASK_PTX_THREADS: blocks at a time
    int multiprocessors = 108;   ///< UNMASK_PTX_MULTIPROCESSORS
    int cache_bytes = 40 << 20;  ///< UNMASK_PTX_CACHE_BYTES: of the second level
    int shared_bytes_a_block = 163 << 10;   ///< UNMASK_PTX_SHARED_BYTES
    int capability = 80;                    ///< UNMASK_PTX_CAPABILITY: 80 is 8.0
    int compiled_for = 0;                   ///< UNMASK_PTX_COMPILED_FOR: what kernels claim of their code; 0: the truth
    int driver = 13000;                     ///< UNMASK_PTX_DRIVER: 12040 and later have conditional nodes in graphs
    ptx::arrival arrival = arrival::random; ///< no variable: see in_order
};

/// The settings in force. A launch keeps those under which it was enqueued.
const settings& current_settings();

/// Puts settings in force until the end of the scope. One thread of the host at a time.
class scoped_settings {
public:
    explicit scoped_settings(const settings& wanted);
    scoped_settings(const scoped_settings&) = delete;
    scoped_settings& operator=(const scoped_settings&) = delete;
    ~scoped_settings();

private:
    settings before_;
};

enum class fault_kind {
    address,       // outside of an allocation, or of the block's shared memory; or of freed memory
    misaligned,    // not a multiple of the size of the access
    race,          // two threads touch a byte of shared memory, one writes, and no barrier orders them
    in_flight,     // a byte is touched that an asynchronous copy is still bringing
    uninitialised, // a byte of shared memory is read that nobody wrote
    stuck,         // threads wait for others that never come
    illegal,       // a trap, a failed assertion, or what PTX leaves undefined
};

/// A kernel has done what it must not. what() names kernel, block, thread, warp, lane, instruction and address. The
/// runtime reports it as CUDA does, and refuses all later work.
class fault : public std::runtime_error {
public:
    fault(fault_kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}

    [[nodiscard]] fault_kind kind() const noexcept { return kind_; }

private:
    fault_kind kind_;
};

/// The fault since the last call, if there was one; the device is as good as new after it. Waits for no stream.
std::optional<fault> take_fault();

/// What kernels have done.
struct counters {
    std::int64_t launches = 0; // that the host asked for
    std::int64_t blocks = 0;
    std::int64_t barriers = 0;      // a block's
    std::int64_t multiply_adds = 0; // a warp's mma
    std::int64_t matrix_loads = 0;  // a warp's ldmatrix
    std::int64_t copies = 0;        // asynchronous, of a lane, that read something
    std::int64_t empty_copies = 0;  // those that wrote zeros alone
    std::int64_t fused = 0;         // sums of kernels that were contracted, counted when they are loaded

    counters& operator+=(const counters& other);
};
/// Since the last call of reset_counts: launches at once, the rest of kernels that have ended.
counters counts();
void reset_counts();

/// How many allocations of device memory have not been released.
int live_allocations();

} // namespace ptx
