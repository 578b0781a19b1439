// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <csignal>
#include <cstdio>
#include <exception>
#include <stdexcept>

#include "command_line.hpp"

// What main() does in every program with options.

namespace examples {

/// Not 0 after an interrupt, once catch_interrupts() was called.
inline volatile std::sig_atomic_t interrupted = 0;

/// From now on, Ctrl-C and SIGTERM end nothing, but are noted in `interrupted`.
inline void catch_interrupts() {
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
}

/// Something that a program needs is not here, through no fault of anyone's: its work is skipped, what() says why.
class skipped : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Calls body(options), or prints the help if --help is given. Returns main's result: 0, 1 with the error on standard
/// error, 77 with the reason if it is `skipped`, 130 after an interrupt.
template <class Body>
int run_program(const char* name, const char* help, int count, char** words, const Body& body) {
    try {
        command_line options(count, words);
        if (options.flag("help")) {
            std::fputs(help, stdout);
            return 0;
        }
        body(options);
        return interrupted != 0 ? 130 : 0;
    } catch (const skipped& reason) {
        std::fprintf(stderr, "skipped: %s\n", reason.what());
        return 77;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", name, error.what());
        return 1;
    }
}

} // namespace examples
