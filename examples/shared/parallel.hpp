// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <unmask/executor/cpu_executor.hpp>

namespace examples {

using unmask::index_t;

/// Calls body(inside, worker, i) for every i of [0, count): side by side, each on one thread, if there is one for every
/// thread, otherwise one after the other on all threads. `inside` is the executor of what body does.
template <class Body>
void side_by_side(const unmask::cpu_executor& exec, index_t count, const Body& body) {
    const bool enough = count >= exec.workers();
    const unmask::cpu_executor inside{enough ? 1 : exec.workers()};
    const unmask::cpu_executor outside{enough ? exec.workers() : 1};
    outside.parallel_for(count, [&](index_t i, int worker) { body(inside, worker, i); });
}

} // namespace examples
