// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "../nondeterministic.hpp"

TEST_CASE("any order: gradients of queries are near the truth, all others have the same bits, for more head dims") {
    test::check_any_order<unmask::nondeterministic<unmask::cuda_executor_for<32, 96, 128, 256>>>(
        {24, 32, 88, 96, 128, 224, 256}, 74);
}
