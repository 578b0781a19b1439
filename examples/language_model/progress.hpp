// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

#include <unistd.h>

#include <unmask/config.hpp>

namespace language_model {

/// A duration as 1:02:03 or 2:03.
inline std::string clock_time(double seconds) {
    const auto all = static_cast<long>(seconds + 0.5);
    char text[32];
    if (all >= 3600) {
        std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", all / 3600, all / 60 % 60, all % 60);
    } else {
        std::snprintf(text, sizeof text, "%ld:%02ld", all / 60, all % 60);
    }
    return text;
}

/// The line that training prints: on a terminal it is written over itself, in a file there is one after another.
class progress {
public:
    progress(unmask::index_t first_step, unmask::index_t steps, unmask::index_t tokens_a_step)
        : first_(first_step), last_(first_step), steps_(steps), tokens_(tokens_a_step) {}

    /// Adds the loss of a step, in bits a token.
    void add(double bits) {
        sum_ += bits;
        ++count_;
    }

    /// The mean loss and the speed since the last report; the time left at the mean speed so far.
    void report(unmask::index_t step, double rate) {
        const auto now = clock::now();
        const double elapsed = seconds(now - start_);
        const double since = seconds(now - reported_);
        const double speed = static_cast<double>((step - last_) * tokens_) / since;
        const double left = elapsed * static_cast<double>(steps_ - step) / static_cast<double>(step - first_);
        std::printf("%sstep %lld/%lld  loss %.3f bits  %.0f tokens/s  elapsed %s  left %s  rate %.1e%s",
                    terminal_ ? "\r\033[K" : "", static_cast<long long>(step), static_cast<long long>(steps_),
                    count_ > 0 ? sum_ / static_cast<double>(count_) : 0.0, speed, clock_time(elapsed).c_str(),
                    clock_time(left).c_str(), rate, terminal_ ? "" : "\n");
        std::fflush(stdout);
        reported_ = now;
        last_ = step;
        sum_ = 0.0;
        count_ = 0;
    }

    /// Something worth a line of its own.
    void note(const std::string& text) const {
        std::printf("%s%s\n", terminal_ ? "\r\033[K" : "", text.c_str());
        std::fflush(stdout);
    }

private:
    using clock = std::chrono::steady_clock;
    static double seconds(clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

    unmask::index_t first_;
    unmask::index_t last_;
    unmask::index_t steps_;
    unmask::index_t tokens_;
    clock::time_point start_ = clock::now();
    clock::time_point reported_ = start_;
    double sum_ = 0.0;
    unmask::index_t count_ = 0;
    bool terminal_ = isatty(STDOUT_FILENO) != 0;
};

} // namespace language_model
