// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdio>

#include <unmask/parallel/mpi.hpp>

#include "command_line.hpp"

namespace distributed {

using examples::command_line;

/// What main() does in a program of many processes: body(ranks, options) on each, or the help, once. An error on one
/// ends all.
template <class Body>
int run_program(const char* help, int count, char** words, const Body& body) {
    return unmask::run_mpi(count, words, [&](const unmask::mpi_communicator& ranks) {
        command_line options(count, words);
        if (!options.flag("help")) {
            body(ranks, options);
        } else if (ranks.rank() == 0) {
            std::fputs(help, stdout);
        }
        return 0;
    });
}

} // namespace distributed
