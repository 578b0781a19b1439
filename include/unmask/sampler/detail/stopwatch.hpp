// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <ctime>
#if !defined(CLOCK_MONOTONIC)
#include <chrono>
#endif

#include <unmask/config.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// Measures wall time from its construction on. POSIX's clock is that of std::chrono::steady_clock; <chrono> brings
// time zones and string streams with it, and takes 0.2 s of every file that includes the sampler.
class stopwatch {
public:
    [[nodiscard]] double seconds() const { return now() - begin_; }

private:
    static double now() {
#if defined(CLOCK_MONOTONIC)
        std::timespec time{};
        clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#else
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
    }

    double begin_ = now();
};

} // namespace detail
UNMASK_NAMESPACE_END
