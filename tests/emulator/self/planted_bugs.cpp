// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "planted_bugs.hpp"

#include <cstdint>

#include <unmask/cuda/runtime/device.cuh>

namespace test {
namespace {

using namespace unmask::detail::device;
using emulator::fault_kind;

constexpr int last = bug_threads - 1;

float* floats() {
    return reinterpret_cast<float*>(shared_memory());
}

// So that who reads too early reads something.
void write_zeros() {
    for (int i = 0; i < 4; ++i) {
        floats()[4 * thread() + i] = 0;
    }
    barrier();
}

template <bool right>
void missing_barrier(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    if (right) {
        barrier();
    }
    a.out[thread()] = floats()[last - thread()];
}

template <bool right>
void warp_barrier_for_two_warps(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    right ? barrier() : warp_barrier();
    a.out[thread()] = floats()[last - thread()];
}

template <bool right>
void write_after_read(arrays a) {
    floats()[thread()] = a.in[thread()];
    barrier();
    a.out[thread()] = floats()[last - thread()];
    if (right) {
        barrier();
    }
    floats()[thread()] = 0;
}

template <bool right>
void two_writers(arrays a) {
    floats()[right ? thread() : thread() / 2] = a.in[thread()];
    a.out[thread()] = 0;
}

template <bool right>
void within_a_warp(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    if (right) {
        warp_barrier();
    }
    a.out[thread()] = floats()[thread() ^ 1];
}

template <bool right>
void order_by_shuffle(arrays a) {
    write_zeros();
    floats()[thread()] = a.in[thread()];
    const float other = shuffle_xor(a.in[thread()], 1);
    if (right) {
        warp_barrier();
    }
    a.out[thread()] = floats()[thread() ^ 1] - other;
}

template <bool right>
void within_a_word(arrays a) { // one thread writes another's half, in the first warp's words
    auto* const halves = reinterpret_cast<std::uint16_t*>(shared_memory());
    halves[thread()] = static_cast<std::uint16_t>(thread());
    warp_barrier();
    if (thread() == 33) {
        halves[right ? 33 : 2] = 7;
    }
    a.out[thread()] = halves[thread()];
}

template <bool right>
void through_a_function(arrays a) {
    write_zeros();
    store(floats() + thread(), a.in[thread()]);
    if (right) {
        barrier();
    }
    a.out[thread()] = floats()[last - thread()];
}

void copy_own(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + 4 * thread(), true);
}

template <bool right>
void missing_wait(arrays a) {
    copy_own(a);
    commit_copies();
    if (right) {
        wait_copies<0>();
    }
    barrier();
    a.out[thread()] = floats()[thread()];
}

template <bool right>
void wait_for_too_few(arrays a) {
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
void missing_commit(arrays a) {
    copy_own(a);
    if (right) {
        commit_copies();
    }
    wait_copies<0>();
    barrier();
    a.out[thread()] = floats()[thread()];
}

template <bool right>
void wait_without_barrier(arrays a) {
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
void copy_over_what_is_read(arrays a) {
    floats()[4 * thread()] = a.in[thread()];
    barrier();
    a.out[thread()] = floats()[4 * (last - thread())];
    if (right) {
        barrier();
    }
    copy_own(a);
}

template <bool right>
void write_under_a_copy(arrays a) {
    copy_own(a);
    commit_copies();
    if (right) {
        wait_copies<0>();
    }
    floats()[4 * thread()] = 1;
    a.out[thread()] = 1;
}

template <bool right>
void matrices_without_barrier(arrays a) {
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
void not_all_at_barrier(arrays a) {
    if (right || thread() != 40) {
        barrier();
    }
    a.out[thread()] = 0;
}

template <bool right>
void two_barriers(arrays a) {
    if (right || thread() < 32) {
        barrier();
    } else {
        barrier();
    }
    a.out[thread()] = 0;
}

template <bool right>
void not_all_lanes(arrays a) {
    float sum = a.in[thread()];
    if (right || lane() != 7) {
        sum += shuffle_xor(sum, 1);
    }
    a.out[thread()] = sum;
}

template <bool right>
void different_calls(arrays a) {
    float sum = a.in[thread()];
    if (right || lane() < 16) {
        sum += shuffle_xor(sum, 1);
    } else {
        sum += static_cast<float>(ballot(sum > 0));
    }
    a.out[thread()] = sum;
}

template <bool right>
void past_shared(arrays a) {
    floats()[4 * thread() + (right ? 3 : 4)] = 1;
    a.out[thread()] = 0;
}

template <bool right>
void before_shared(arrays a) {
    floats()[thread() - (right ? 0 : 1)] = 1;
    a.out[thread()] = 0;
}

template <bool right>
void past_device_memory(arrays a) {
    a.out[thread()] = 0;
    a.out[thread() + (right ? 0 : 1)] = 1;
}

template <bool right>
void before_device_memory(arrays a) {
    a.out[thread()] = a.in[thread() - (right ? 0 : 1)];
}

template <bool right>
void copy_past_device_memory(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + 4 * (thread() + 1), !right || thread() < last);
    a.out[thread()] = 0;
}

template <bool right>
void copy_past_shared(arrays a) {
    copy_async(floats() + 4 * thread() + (right ? 0 : 4), a.in + 4 * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
void misaligned_copy(arrays a) {
    copy_async(floats() + (thread() == 5 && !right ? 2 : 4 * thread()), a.in + 4 * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
void misaligned_source(arrays a) {
    copy_async(floats() + 4 * thread(), a.in + (right ? 4 : 1) * thread(), true);
    a.out[thread()] = 0;
}

template <bool right>
void misaligned_matrix(arrays a) {
    for (int i = 0; i < 4; ++i) {
        floats()[4 * thread() + i] = a.in[thread()];
    }
    barrier();
    std::uint32_t matrices[4];
    load_matrices_transposed(matrices, floats() + 4 * lane() + (right ? 0 : 2));
    a.out[thread()] = static_cast<float>(matrices[0]);
}

template <bool right>
void misaligned_load(arrays a) {
    a.out[thread()] = static_cast<float>(*reinterpret_cast<const double*>(a.in + (right ? 2 : 1) * thread()));
}

template <bool right>
void nobody_wrote(arrays a) {
    if (right || thread() != 9) {
        floats()[thread()] = 1;
    }
    a.out[thread()] = floats()[thread()];
}

template <bool right>
void matrices_nobody_wrote(arrays a) {
    floats()[4 * thread()] = floats()[4 * thread() + 1] = floats()[4 * thread() + 2] = 1;
    if (right) {
        floats()[4 * thread() + 3] = 1;
    }
    warp_barrier();
    std::uint32_t matrices[4];
    load_matrices(matrices, floats() + 4 * thread());
    a.out[thread()] = static_cast<float>(matrices[0]);
}

} // namespace

#define BUG(name, kind)                                  \
    planted_bug {                                        \
        #name, fault_kind::kind, name<false>, name<true> \
    }
const std::vector<planted_bug> planted_bugs{
    BUG(missing_barrier, race),
    BUG(warp_barrier_for_two_warps, race),
    BUG(write_after_read, race),
    BUG(two_writers, race),
    BUG(within_a_warp, race),
    BUG(order_by_shuffle, race),
    BUG(within_a_word, race),
    BUG(through_a_function, race),
    BUG(wait_without_barrier, race),
    BUG(copy_over_what_is_read, race),
    BUG(matrices_without_barrier, race),
    BUG(missing_wait, in_flight),
    BUG(wait_for_too_few, in_flight),
    BUG(missing_commit, in_flight),
    BUG(write_under_a_copy, in_flight),
    BUG(not_all_at_barrier, stuck),
    BUG(not_all_lanes, stuck),
    BUG(two_barriers, divergence),
    BUG(different_calls, divergence),
    BUG(past_shared, out_of_bounds),
    BUG(before_shared, out_of_bounds),
    BUG(past_device_memory, out_of_bounds),
    BUG(before_device_memory, out_of_bounds),
    BUG(copy_past_device_memory, out_of_bounds),
    BUG(copy_past_shared, out_of_bounds),
    BUG(misaligned_copy, misaligned),
    BUG(misaligned_source, misaligned),
    BUG(misaligned_matrix, misaligned),
    BUG(misaligned_load, misaligned),
    BUG(nobody_wrote, uninitialised),
    BUG(matrices_nobody_wrote, uninitialised),
};

const kernel well_behaved = missing_barrier<true>;

} // namespace test
