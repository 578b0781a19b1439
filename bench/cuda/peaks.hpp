// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

namespace bench {

/// What the GPU reaches when it does one thing only.
struct peaks {
    double flops; ///< operations a second: bfloat16 products on the tensor cores, through mma.sync, summed in float
    double bytes; ///< bytes a second: memory that is read, or read and written, whichever is faster
};

/// The best of 5 rounds of a few milliseconds: what slows down a round does not count. Wakes up the clocks, too.
peaks measure_peaks();

} // namespace bench
