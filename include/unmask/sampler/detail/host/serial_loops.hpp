// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The loops of rules that are written once for all processors, here on one thread. candidate_view says what they do.
// They are marked for the device as well, or nvcc warns of the rules.
struct serial_loops {
    template <class Index, class F>
    UNMASK_HOST_DEVICE static void for_each(Index begin, Index end, const F& f) {
        for (Index i = begin; i < end; ++i) {
            f(i);
        }
    }

    template <class F>
    UNMASK_HOST_DEVICE static int count_if(int end, const F& f) {
        int found = 0;
        for (int i = 0; i < end; ++i) {
            found += f(i) ? 1 : 0;
        }
        return found;
    }

    template <class Index, class F>
    UNMASK_HOST_DEVICE static Index find_if(Index end, const F& f) {
        Index i = 0;
        while (i < end && !f(i)) {
            ++i;
        }
        return i;
    }

    template <class F>
    UNMASK_HOST_DEVICE static int highest(int end, const F& f) {
        int best = -1;
        double value = 0;
        for (int i = 0; i < end; ++i) {
            const double number = f(i);
            best = best < 0 || number > value ? i : best;
            value = best == i ? number : value;
        }
        return best;
    }

    template <class F>
    UNMASK_HOST_DEVICE static int walk(int end, const F& f) {
        return find_if(end, [&](int i) { return !f(i); });
    }
};

} // namespace detail
UNMASK_NAMESPACE_END
