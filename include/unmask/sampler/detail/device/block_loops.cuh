// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>
#include <unmask/cuda/runtime/collectives.cuh>
#include <unmask/cuda/runtime/device.cuh>

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

inline constexpr int step_threads = 128; // of a block, which works on one sequence

struct sum {
    UNMASK_DEVICE int operator()(int a, int b) const { return a + b; }
};
struct minimum {
    UNMASK_DEVICE int operator()(int a, int b) const { return b < a ? b : a; }
};

// serial_loops by all threads of a block together.
struct block_loops {
    template <class Index, class F>
    UNMASK_DEVICE static void for_each(Index begin, Index end, const F& f) {
        for (Index i = begin + device::thread(); i < end; i += step_threads) {
            f(i);
        }
        device::barrier();
    }

    template <class F>
    UNMASK_DEVICE static int count_if(int end, const F& f) {
        int mine = 0;
        for (int i = device::thread(); i < end; i += step_threads) {
            mine += f(i) ? 1 : 0;
        }
        return device::combined<step_threads>(mine, sum{});
    }

    template <class Index, class F>
    UNMASK_DEVICE static Index find_if(Index end, const F& f) {
        auto mine = static_cast<int>(end);
        for (int i = device::thread(); i < mine; i += step_threads) {
            mine = f(i) ? i : mine;
        }
        return device::combined<step_threads>(mine, minimum{});
    }

    template <class F>
    UNMASK_DEVICE static int highest(int end, const F& f) {
        place mine{0, -1};
        for (int i = device::thread(); i < end; i += step_threads) {
            const double number = f(i);
            mine = mine.at < 0 || number > mine.number ? place{number, i} : mine;
        }
        return device::combined<step_threads>(mine, higher_place{}).at;
    }

    template <class F>
    UNMASK_DEVICE static int walk(int end, const F& f) {
        int done = 0;
        if (device::thread() == 0) {
            while (done < end && f(done)) {
                ++done;
            }
        }
        return device::combined<step_threads>(done, sum{});
    }

private:
    struct place {
        double number;
        int at;
    };
    struct higher_place {
        UNMASK_DEVICE place operator()(const place& a, const place& b) const {
            const bool second =
                a.at < 0 || (b.at >= 0 && (b.number > a.number || (b.number == a.number && b.at < a.at)));
            return second ? b : a;
        }
    };
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
