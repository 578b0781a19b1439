// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <stdexcept>
#include <string>

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN

/// A failure of one of several processes, or of what connects them. what() names it: "rank 2 threw: out of memory".
class communication_error : public std::runtime_error {
public:
    /// An error of this rank.
    communication_error(int rank, const std::string& what)
        : std::runtime_error("rank " + std::to_string(rank) + " " + what), rank_(rank) {}

    /// The rank that failed, which need not be the one that throws.
    [[nodiscard]] int rank() const noexcept { return rank_; }

private:
    int rank_;
};

UNMASK_NAMESPACE_END
