// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <vector>

#include "any_mask.hpp"
#include "comparison.hpp"

namespace test {

// How tests that are the same for every processor make their calls; on_device.hpp is the other way.
struct on_cpu {
    using ranges = std::vector<range>; // of masks, in memory that kernels read
    static constexpr std::size_t hostile_values = 5;

    // Forward, backward and received. The mask's ranges are those that kernels read.
    template <class Sink, class T>
    static void run(problem<T>& input, const any_mask& mask, const attention_options& options) {
        run_on_cpu<Sink>(input, mask, options);
    }

    // The same, judged, with a mask that the judge can read.
    template <class Sink, class T>
    static verdict compare(problem<T>& input, const any_mask& /*mask*/, const any_mask& mask_of_kernels,
                           const attention_options& options) {
        return test::compare<Sink>(input, mask_of_kernels, options);
    }
};

} // namespace test
