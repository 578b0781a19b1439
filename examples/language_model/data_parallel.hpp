// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <unmask/parallel/communication_error.hpp>
#include <unmask/parallel/communicator.hpp>

#include "training.hpp"

namespace language_model {

/// A rank's share of a run that all ranks of a communicator take part in, each with a part of every batch.
template <unmask::communicator C>
training_share share_of(const C& c) {
    const auto sum = [c](std::span<float> gradient, double& loss) {
        unmask::all_reduce_sum(c, gradient);
        unmask::all_reduce_sum(c, std::span(&loss, 1));
    };
    const auto give = [c](std::span<const std::span<float>> parts) {
        for (int rank = 0; rank < c.size(); ++rank) {
            unmask::broadcast(c, parts[static_cast<std::size_t>(rank)], rank);
        }
    };
    return {c.rank(), c.size(), sum, give};
}

/// Whether something holds on any rank: the same answer on all of them.
template <unmask::communicator C>
bool on_any(const C& c, bool here) {
    int found = here ? 1 : 0;
    unmask::all_reduce_max(c, std::span(&found, 1));
    return found != 0;
}

/// Throws unmask::communication_error unless all ranks are at the same step: they may have read different states.
template <unmask::communicator C>
void check_same_step(const C& c, index_t step) {
    std::vector<index_t> steps(static_cast<std::size_t>(c.size()));
    unmask::all_gather(c, std::span<const index_t>(&step, 1), std::span(steps));
    for (std::size_t rank = 1; rank < steps.size(); ++rank) {
        if (steps[rank] != steps[0]) {
            throw unmask::communication_error(static_cast<int>(rank),
                                              "is at step " + std::to_string(steps[rank]) + ", rank 0 at step " +
                                                  std::to_string(steps[0]) + ": do they read the same file?");
        }
    }
}

} // namespace language_model
