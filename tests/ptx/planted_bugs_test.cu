// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the machine says of kernels with a mistake.

#include "planted_bugs.cuh"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <initializer_list>
#include <optional>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>

#include "../cuda/attention/device_memory.hpp"

namespace {

using ptx::arrival;

// Calls test() with every mode of copies and this many seeds, and shared memory watched.
template <class Test>
void under_settings(unsigned seeds, const Test& test) {
    for (const arrival mode : {arrival::late, arrival::early, arrival::random}) {
        for (unsigned seed = 0; seed < seeds; ++seed) {
            ptx::settings wanted;
            wanted.seed = seed;
            wanted.arrival = mode;
            wanted.watch = true;
            const ptx::scoped_settings scope(wanted);
            test();
        }
    }
}

struct buffers {
    test::device_array<float> in{std::vector<float>(4 * test::bug_threads, 1.0F)};
    test::device_array<float> out{test::bug_threads};

    // Two blocks; the fault, if there was one.
    [[nodiscard]] std::optional<ptx::fault> launch(test::kernel kernel) const { return launch(kernel, in.data()); }
    [[nodiscard]] std::optional<ptx::fault> launch(test::kernel kernel, const float* from) const {
        try {
            unmask::detail::launch(kernel, 2, test::bug_threads, test::bug_shared_bytes, nullptr,
                                   test::arrays{from, out.data()});
        } catch (const unmask::cuda_error&) { // it has failed already
        }
        (void)cudaDeviceSynchronize();
        (void)cudaGetLastError();
        return ptx::take_fault();
    }
};

void check_parts(const std::string& what, std::initializer_list<const char*> parts) {
    CAPTURE(what);
    std::size_t from = 0;
    for (const char* const part : parts) {
        const std::string wanted = part;
        CAPTURE(wanted);
        const std::size_t place = what.find(part, from);
        CHECK(place != std::string::npos);
        from = place == std::string::npos ? from : place + 1;
    }
}

} // namespace

TEST_CASE("every planted bug is found, whichever thread runs first, and its place is named") {
    for (const test::planted_bug& bug : test::planted_bugs) {
        CAPTURE(bug.name);
        const buffers memory;
        under_settings(3, [&] {
            const auto found = memory.launch(bug.wrong);
            REQUIRE(found.has_value());
            const bool overtakes = bug.name == "copy_over_what_is_read" && found->kind() == ptx::fault_kind::in_flight;
            CHECK((found->kind() == bug.kind || overtakes)); // the copy was issued before the read
            const std::string place = "in void test::" + bug.name + "<false>";
            check_parts(found->what(), {"by thread ", "of block (", "at PTX line ", place.c_str()});
        });
    }
}

TEST_CASE("the same kernels without the bug run, whichever thread runs first") {
    for (const test::planted_bug& bug : test::planted_bugs) {
        CAPTURE(bug.name);
        const buffers memory;
        under_settings(10, [&] {
            const auto found = memory.launch(bug.right);
            const std::string what = found ? found->what() : "";
            CAPTURE(what);
            CHECK(!found);
            const std::vector<float> out = memory.out.to_host();
            CHECK(std::none_of(out.begin(), out.end(), [](float x) { return std::isnan(x); }));
        });
    }
}

TEST_CASE("a fault says who, what and where") {
    ptx::settings wanted;
    wanted.watch = true;
    const ptx::scoped_settings scope(wanted);
    const buffers memory;
    const auto what_of = [&](const std::string& name) {
        const auto bug = std::find_if(test::planted_bugs.begin(), test::planted_bugs.end(),
                                      [&](const test::planted_bug& each) { return each.name == name; });
        const auto found = memory.launch(bug->wrong);
        return found ? std::string(found->what()) : std::string();
    };
    check_parts(what_of("missing_barrier"), {"race: ", "(warp ", ", lane ", "of shared memory", "by thread ", "(warp ",
                                             "at PTX line ", "planted_bugs.cuh:", "shared", "in void test::"});
    check_parts(what_of("not_all_at_barrier"), {"stuck", "left out", "bar"});
    check_parts(what_of("not_all_lanes"), {"reads lane 7, which is not here", "lane 6)", "shfl.sync"});
    check_parts(what_of("past_device_memory"), {"global address 0x", "4 bytes past the end of an allocation of 256",
                                                "by thread 63 (warp 1, lane 31)"});
    check_parts(what_of("misaligned_copy"), {"misaligned", "by thread 5 (warp 0, lane 5)", "cp.async"});
}

TEST_CASE("memory that was released is not to be used") {
    const buffers memory;
    const float* gone = nullptr;
    {
        const test::device_array<float> other(std::vector<float>(test::bug_threads));
        gone = other.data();
    }
    const auto found = memory.launch(test::well_behaved, gone);
    REQUIRE(found.has_value());
    CHECK(found->kind() == ptx::fault_kind::address);
    check_parts(found->what(), {"freed"});
}

TEST_CASE("after a fault nothing works, as with CUDA, until a test takes it") {
    const buffers memory;
    const test::kernel wrong = test::planted_bugs.back().wrong;
    ptx::settings wanted;
    wanted.watch = true;
    const ptx::scoped_settings scope(wanted);
    wrong<<<1, test::bug_threads, test::bug_shared_bytes>>>({memory.in.data(), memory.out.data()});
    CHECK(cudaDeviceSynchronize() == cudaErrorLaunchFailure);
    CHECK(cudaMemset(memory.out.data(), 0, 4) == cudaErrorLaunchFailure);
    CHECK(ptx::take_fault().has_value());
    CHECK_FALSE(ptx::take_fault().has_value());
    (void)cudaGetLastError();
    CHECK_FALSE(memory.launch(test::well_behaved).has_value());
}

TEST_CASE("a fault comes out of any thread of the host") {
    const auto what = [&](unsigned seed, int threads) {
        ptx::settings wanted;
        wanted.seed = seed;
        wanted.threads = threads;
        wanted.watch = true;
        const ptx::scoped_settings scope(wanted);
        const buffers memory;
        const auto found = memory.launch(test::planted_bugs.front().wrong);
        return found ? std::string(found->what()) : std::string();
    };
    CHECK(what(1, 4).find("race") == 0);
    CHECK(what(2, 1).find("race") == 0);
}

TEST_CASE("the host must not follow addresses of the device") {
    const buffers memory;
    const pid_t child = fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        const volatile float value = *memory.out.data();
        _exit(value == value ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGSEGV);
}
