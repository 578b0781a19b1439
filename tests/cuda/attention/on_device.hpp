// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include "../../attention/any_mask.hpp"
#include "device_problem.hpp"

namespace test {

// Calls on cuda_executor, for the tests that all processors share: see on_cpu.hpp.
struct on_device {
    using ranges = device_array<range>;
    static constexpr std::size_t hostile_values = 2; // each takes seconds without a GPU

    template <class Sink, class T>
    static void run(problem<T>& input, const any_mask& mask, const attention_options& options) {
        run_on_device<Sink>(input, mask, options);
    }

    template <class Sink, class T>
    static verdict compare(problem<T>& input, const any_mask& mask, const any_mask& mask_of_kernels,
                           const attention_options& options) {
        return compare_on_device<Sink>(input, mask, mask_of_kernels, options);
    }
};

} // namespace test
