// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Jobs learn, go on where they were stopped as if they hadn't been, and are done once.

#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "grid.hpp"
#include "test_study.hpp"

using namespace sink_study;

namespace {

double bits_of(const study_folders& folders, const job& which) {
    return read_result(folders.result(which)).at("held_out").at("bits").get<double>();
}

} // namespace

TEST_CASE("the jobs have names of their own, and variants that exist") {
    std::set<std::string> names;
    for (const job& each : all_jobs()) {
        names.insert(each.name());
        CHECK_NOTHROW(with_variant(each.variant, proverbs().variant(each, quick(1)), [](const auto&, const auto&) {}));
    }
    CHECK(names.size() == all_jobs().size());
    CHECK_THROWS_AS(with_variant("nonsense", {}, [](const auto&, const auto&) {}), std::invalid_argument);
    CHECK_THROWS_AS(size_of("nonsense"), std::invalid_argument);
}

TEST_CASE("training lowers the held-out bound, of block diffusion and of retrieval too") {
    const job jobs[] = {{"text", "front", "usual", 1},
                        {"text", "gate", "usual", 1},
                        {"byte_pairs", "front", "usual", 1},
                        {"text", "block_front", "usual", 1},
                        {"retrieval", "none", "usual", 1}};
    study_size size = quick(200);
    size.retrieval.held_out = 32;
    for (const job& trained : jobs) {
        CAPTURE(trained.name());
        const scratch files;
        job untrained = trained;
        untrained.training = "none";
        REQUIRE(run_job(trained, size, proverbs(), files.folders, {}));
        REQUIRE(run_job(untrained, size, proverbs(), files.folders, {}));
        CHECK(bits_of(files.folders, trained) < bits_of(files.folders, untrained) - 0.3);
        CHECK(read_result(files.folders.result(untrained)).at("steps") == 0);
    }
}

TEST_CASE("a job that was stopped goes on as if it hadn't been, bit for bit") {
    const job which{"text", "block_front", "usual", 2};
    const scratch files;
    job_control control;
    index_t last = 0;
    control.stop = [&] { return last == 3; };
    control.progress = [&](index_t step, double) { last = step; };
    CHECK_FALSE(run_job(which, quick(8), proverbs(), files.folders, control));
    CHECK(last == 3);
    CHECK_FALSE(std::filesystem::exists(files.folders.result(which)));

    CHECK_THROWS_AS(run_job(which, quick(9), proverbs(), files.folders, {}), std::runtime_error); // of another run
    std::vector<index_t> steps;
    control.stop = [] { return false; };
    control.progress = [&](index_t step, double) { steps.push_back(step); };
    CHECK(run_job(which, quick(8), proverbs(), files.folders, control));
    CHECK(steps == std::vector<index_t>{4, 5, 6, 7, 8});
    const auto stopped = read_safetensors(files.folders.weights(which));
    CHECK_FALSE(std::filesystem::exists(files.folders.state(which)));

    CHECK(run_job(which, quick(8), proverbs(), files.folders, {}));
    const auto whole = read_safetensors(files.folders.weights(which));
    REQUIRE(whole.tensors.size() == stopped.tensors.size());
    for (const auto& [name, tensor] : whole.tensors) {
        const auto& other = stopped.tensors.at(name);
        CHECK(std::equal(tensor.bytes.begin(), tensor.bytes.end(), other.bytes.begin(), other.bytes.end()));
    }
}

TEST_CASE("a grid does what has no result, and stops when told to") {
    const scratch files;
    const std::vector<job> jobs = {
        {"text", "none", "usual", 1}, {"text", "front", "usual", 1}, {"retrieval", "front", "usual", 1}};
    const auto run = [&](std::function<bool()> stop) {
        return grid(quick(4), proverbs(), files.folders, std::move(stop)).run(jobs, 2);
    };
    CHECK(run([] { return true; }) == 0);
    write_result(files.folders.result(jobs[1]), {{"kept", true}});
    CHECK(run([] { return false; }) == 2);
    CHECK(read_result(files.folders.result(jobs[1])).at("kept") == true);
    CHECK(bits_of(files.folders, jobs[0]) > 0.0);
    CHECK(run([] { return false; }) == 0);
}

TEST_CASE("when a job fails, so does the grid") {
    const scratch files;
    write_safetensors(files.folders.state({"text", "none", "usual", 1}), {}, {{"job", "something else"}});
    grid broken(quick(4), proverbs(), files.folders, [] { return false; });
    CHECK_THROWS_AS(broken.run({{"text", "none", "usual", 1}, {"text", "front", "usual", 1}}, 2), std::runtime_error);
    CHECK(std::filesystem::exists(files.folders.state({"text", "none", "usual", 1})));
}
