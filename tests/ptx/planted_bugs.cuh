// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <unmask/cuda/runtime/device.cuh>

#include "machine.hpp"

// Kernels with a mistake, and the same without it.
namespace test {

using namespace unmask::detail::device;

struct arrays {
    const float* in; // threads × 4 numbers
    float* out;      // threads numbers
};
using kernel = void (*)(arrays);

inline constexpr int bug_threads = 64;
inline constexpr std::size_t bug_shared_bytes = 16 * bug_threads;
inline constexpr int last = bug_threads - 1;

UNMASK_DEVICE float* floats() {
    return reinterpret_cast<float*>(shared_memory());
}

// So that who reads too early reads something.
UNMASK_DEVICE void write_zeros() {
    for (int i = 0; i < 4; ++i) {
        floats()[4 * thread() + i] = 0;
    }
    barrier();
}

template <bool right>
__global__ void missing_barrier(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    if (right) {
        barrier();
    }
    a.out[thread()] = floats()[last - thread()];
}

template <bool right>
__global__ void warp_barrier_for_two_warps(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    right ? barrier() : warp_barrier();
    a.out[thread()] = floats()[last - thread()];
}

template <bool right>
__global__ void write_after_read(arrays a) {
    floats()[thread()] = a.in[thread()];
    barrier();
    a.out[thread()] = floats()[last - thread()];
    if (right) {
        barrier();
    }
    floats()[thread()] = 0;
}

template <bool right>
__global__ void two_writers(arrays a) {
    floats()[right ? thread() : thread() / 2] = a.in[thread()];
    a.out[thread()] = 0;
}

template <bool right>
__global__ void within_a_warp(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    if (right) {
        warp_barrier();
    }
    a.out[thread()] = floats()[thread() ^ 1];
}

template <bool right>
__global__ void order_by_shuffle(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    const float other = shuffle_xor(a.in[thread()], 1);
    if (right) {
        warp_barrier();
    }
    a.out[thread()] = floats()[thread() ^ 1] - other;
}

template <bool right>
__global__ void within_a_word(arrays a) { // one thread writes another's half, in the first warp's words
    auto* const halves = reinterpret_cast<std::uint16_t*>(shared_memory());
    halves[thread()] = static_cast<std::uint16_t>(thread());
    warp_barrier();
    if (thread() == 33) {
        halves[right ? 33 : 2] = 7;
    }
    a.out[thread()] = halves[thread()];
}

UNMASK_DEVICE void copy_own(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + 4 * thread(), true);
}

template <bool right>
__global__ void missing_wait(arrays a) {
    copy_own(a);
    commit_copies();
    if (right) {
        wait_copies<0>();
    }
    barrier();
    a.out[thread()] = floats()[thread()];
}

template <bool right>
__global__ void wait_for_too_few(arrays a) {
    if (thread() < 32) {
        copy_own(a);
    }
    commit_copies();
    if (thread() >= 32) {
        copy_own(a);
    }
    commit_copies();
    wait_copies<right ? 0 : 1>();
    barrier();
    a.out[thread()] = floats()[4 * thread()];
}

template <bool right>
__global__ void missing_commit(arrays a) {
    copy_own(a);
    if (right) {
        commit_copies();
    }
    wait_copies<0>();
    barrier();
    a.out[thread()] = floats()[thread()];
}

template <bool right>
__global__ void wait_without_barrier(arrays a) {
    write_zeros();
    copy_own(a);
    commit_copies();
    wait_copies<0>();
    if (right) {
        barrier();
    }
    a.out[thread()] = floats()[4 * (last - thread())];
}

template <bool right>
__global__ void copy_over_what_is_read(arrays a) {
    floats()[4 * thread()] = a.in[thread()];
    barrier();
    a.out[thread()] = floats()[4 * (last - thread())];
    if (right) {
        barrier();
    }
    copy_own(a);
}

template <bool right>
__global__ void write_under_a_copy(arrays a) {
    copy_own(a);
    commit_copies();
    if (right) {
        wait_copies<0>();
    }
    floats()[4 * thread()] = 1;
    a.out[thread()] = 1;
}

template <bool right>
__global__ void matrices_without_barrier(arrays a) {
    write_zeros();
    for (int i = 0; i < 4; ++i) {
        floats()[4 * thread() + i] = a.in[thread()];
    }
    if (right) {
        barrier();
    }
    std::uint32_t matrices[4];
    load_matrices(matrices, floats() + 4 * (last - thread()));
    a.out[thread()] = static_cast<float>(matrices[0]);
}

template <bool right>
__global__ void not_all_at_barrier(arrays a) {
    if (right || thread() != 40) {
        barrier();
    }
    a.out[thread()] = 0;
}

template <bool right>
__global__ void not_all_lanes(arrays a) {
    float sum = a.in[thread()];
    if (right || lane() != 7) {
        sum += shuffle_xor(sum, 1);
    }
    a.out[thread()] = sum;
}

template <bool right>
__global__ void different_calls(arrays a) {
    float sum = a.in[thread()];
    if (right || lane() < 16) {
        sum += shuffle_xor(sum, 1);
    } else {
        sum += static_cast<float>(unmask::detail::device::ballot(sum > 0));
    }
    a.out[thread()] = sum;
}

template <bool right>
__global__ void past_shared(arrays a) {
    floats()[4 * thread() + (right ? 3 : 4)] = 1;
    a.out[thread()] = 0;
}

template <bool right>
__global__ void before_shared(arrays a) {
    floats()[thread() - (right ? 0 : 1)] = 1;
    a.out[thread()] = 0;
}

template <bool right>
__global__ void past_device_memory(arrays a) {
    a.out[thread()] = 0;
    a.out[thread() + (right ? 0 : 1)] = 1;
}

template <bool right>
__global__ void before_device_memory(arrays a) {
    a.out[thread()] = a.in[thread() - (right ? 0 : 1)];
}

template <bool right>
__global__ void copy_past_device_memory(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + 4 * (thread() + 1), !right || thread() < last);
    a.out[thread()] = 0;
}

template <bool right>
__global__ void copy_past_shared(arrays a) {
    copy_async(floats() + 4 * thread() + (right ? 0 : 4), a.in + 4 * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
__global__ void misaligned_copy(arrays a) {
    copy_async(floats() + (thread() == 5 && !right ? 2 : 4 * thread()), a.in + 4 * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
__global__ void misaligned_source(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + (right ? 4 : 1) * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
__global__ void misaligned_matrix(arrays a) {
    for (int i = 0; i < 4; ++i) {
        floats()[4 * thread() + i] = a.in[thread()];
    }
    barrier();
    std::uint32_t matrices[4];
    load_matrices_transposed(matrices, floats() + 4 * lane() + (right ? 0 : 2));
    a.out[thread()] = static_cast<float>(matrices[0]);
}

template <bool right>
__global__ void misaligned_load(arrays a) {
    a.out[thread()] = static_cast<float>(*reinterpret_cast<const double*>(a.in + (right ? 2 : 1) * thread()));
}

template <bool right>
__global__ void nobody_wrote(arrays a) {
    if (right || thread() != 9) {
        floats()[thread()] = 1;
    }
    a.out[thread()] = floats()[thread()];
}

template <bool right>
__global__ void matrices_nobody_wrote(arrays a) {
    floats()[4 * thread()] = floats()[4 * thread() + 1] = floats()[4 * thread() + 2] = 1;
    if (right) {
        floats()[4 * thread() + 3] = 1;
    }
    warp_barrier();
    std::uint32_t matrices[4];
    load_matrices(matrices, floats() + 4 * thread());
    a.out[thread()] = static_cast<float>(matrices[0]);
}

struct planted_bug {
    std::string name;
    ptx::fault_kind kind;
    kernel wrong;
    kernel right;
};

#define BUG(name, kind)                                       \
    planted_bug {                                             \
        #name, ptx::fault_kind::kind, name<false>, name<true> \
    }
inline const std::vector<planted_bug> planted_bugs{
    BUG(missing_barrier, race),
    BUG(warp_barrier_for_two_warps, race),
    BUG(write_after_read, race),
    BUG(two_writers, race),
    BUG(within_a_warp, race),
    BUG(order_by_shuffle, race),
    BUG(within_a_word, race),
    BUG(wait_without_barrier, race),
    BUG(copy_over_what_is_read, race),
    BUG(matrices_without_barrier, race),
    BUG(missing_wait, in_flight),
    BUG(wait_for_too_few, in_flight),
    BUG(missing_commit, in_flight),
    BUG(write_under_a_copy, in_flight),
    BUG(not_all_at_barrier, stuck),
    BUG(not_all_lanes, illegal),
    BUG(different_calls, stuck),
    BUG(past_shared, address),
    BUG(before_shared, address),
    BUG(past_device_memory, address),
    BUG(before_device_memory, address),
    BUG(copy_past_device_memory, address),
    BUG(copy_past_shared, address),
    BUG(misaligned_copy, misaligned),
    BUG(misaligned_source, misaligned),
    BUG(misaligned_matrix, misaligned),
    BUG(misaligned_load, misaligned),
    BUG(nobody_wrote, uninitialised),
    BUG(matrices_nobody_wrote, uninitialised),
};

#undef BUG

// Reads in[0] … in[63] and writes out[0] … out[63].
inline const kernel well_behaved = missing_barrier<true>;

} // namespace test
