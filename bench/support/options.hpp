// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>

namespace bench {

/// What the command line says besides Google Benchmark's own flags.
struct options {
    int threads = 2;              ///< of the cases that don't compare threads
    std::filesystem::path dump{}; ///< where to write what a case reads and writes; empty: nowhere
};

} // namespace bench
