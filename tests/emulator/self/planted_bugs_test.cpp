// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "planted_bugs.hpp"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

#include <unmask/cuda/runtime/calls.cuh>

namespace {

using emulator::copies;

// Calls test(settings) with every mode of copies and this many seeds.
template <class Test>
void under_settings(unsigned seeds, Test test) {
    for (const copies mode : {copies::late, copies::early, copies::random}) {
        for (unsigned seed = 0; seed < seeds; ++seed) {
            emulator::settings wanted;
            wanted.seed = seed;
            wanted.copies = mode;
            const emulator::scoped_settings scope(wanted);
            test();
        }
    }
}

struct buffers {
    emulator::buffer<float> in{std::vector<float>(4 * test::bug_threads, 1.0F)};
    emulator::buffer<float> out{test::bug_threads};

    void launch(test::kernel kernel) const {
        unmask::detail::launch(kernel, 2, test::bug_threads, test::bug_shared_bytes, nullptr,
                               test::arrays{in.data(), out.data()});
    }
};

} // namespace

TEST_CASE("every planted bug is found, whichever thread runs first, and its place is named") {
    for (const test::planted_bug& bug : test::planted_bugs) {
        CAPTURE(bug.name);
        const buffers memory;
        under_settings(3, [&] {
            try {
                memory.launch(bug.wrong);
                FAIL("not found");
            } catch (const emulator::fault& found) {
                const std::string what = found.what();
                CAPTURE(what);
                CHECK(found.kind() == bug.kind);
                CHECK(what.find("in block 0") != std::string::npos);
                CHECK(what.find("planted_bugs.") != std::string::npos);
            }
        });
    }
}

TEST_CASE("the same kernels without the bug run, whichever thread runs first") {
    for (const test::planted_bug& bug : test::planted_bugs) {
        CAPTURE(bug.name);
        const buffers memory;
        under_settings(30, [&] {
            memory.launch(bug.right);
            const std::vector<float> out = memory.out.to_host();
            CHECK(std::none_of(out.begin(), out.end(), [](float x) { return std::isnan(x); }));
        });
    }
}

TEST_CASE("a fault says who, what and where") {
    const buffers memory;
    const auto what_of = [&](const std::string& name) -> std::string {
        const auto bug = std::find_if(test::planted_bugs.begin(), test::planted_bugs.end(),
                                      [&](const test::planted_bug& each) { return each.name == name; });
        try {
            memory.launch(bug->wrong);
        } catch (const emulator::fault& found) {
            return found.what();
        }
        return "";
    };
    const auto check = [](const std::string& what, std::initializer_list<const char*> parts) {
        CAPTURE(what);
        std::size_t from = 0;
        for (const char* part : parts) {
            CAPTURE(part);
            const std::size_t place = what.find(part, from);
            CHECK(place != std::string::npos);
            from = place == std::string::npos ? from : place + 1;
        }
    };
    check(what_of("missing_barrier"), {"race in block 0: thread ", "(warp ", "4 bytes at byte ",
                                       "planted_bugs.cpp:", "; thread ", "planted_bugs.cpp:"});
    check(what_of("not_all_at_barrier"), {"stuck", "warp 0: lanes 0-31 in barrier at ", "warp 1: lanes 0-7 in barrier",
                                          "lanes 8-8 finished", "lanes 9-31 in barrier"});
    check(what_of("different_calls"), {"divergence", "thread ", "while others wait", "warp 0: lanes 0-"});
    check(what_of("past_device_memory"), {"out of bounds",
                                          "thread 63 (warp 1, lane 31) writes 4 bytes at byte 256 of an "
                                          "allocation of 256 bytes at ",
                                          "planted_bugs.cpp:"});
    check(what_of("misaligned_copy"), {"misaligned", "thread 5 (warp 0, lane 5)", "8 beyond a multiple of 16"});
}

TEST_CASE("memory that was released is not to be used") {
    const buffers memory;
    const float* gone = nullptr;
    {
        const emulator::buffer<float> other(test::bug_threads);
        gone = other.data();
    }
    try {
        unmask::detail::launch(test::well_behaved, 1, test::bug_threads, test::bug_shared_bytes, nullptr,
                               test::arrays{gone, memory.out.data()});
        FAIL("not found");
    } catch (const emulator::fault& found) {
        CHECK(found.kind() == emulator::fault_kind::use_after_free);
    }
}

TEST_CASE("after a fault the next launch runs as if nothing had happened") {
    const buffers memory;
    for (const test::planted_bug& bug : test::planted_bugs) {
        CAPTURE(bug.name);
        CHECK_THROWS_AS(memory.launch(bug.wrong), emulator::fault);
        memory.launch(test::well_behaved);
    }
}

TEST_CASE("the host's watched code must not follow addresses of the device") {
    const buffers memory;
    test::store(memory.out.data(), 1.0F);
    try {
        memory.launch(test::well_behaved);
        FAIL("not found");
    } catch (const emulator::fault& found) {
        CHECK(found.kind() == emulator::fault_kind::host_access);
    }
    memory.launch(test::well_behaved);
}
