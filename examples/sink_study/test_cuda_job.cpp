// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Jobs that learn on the GPU: the models of every kind, and one from its beginning to its result.

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "cuda_trainer.hpp"
#include "study_trainer.hpp"
#include "test_study.hpp"
#include "trainer.hpp"

using namespace sink_study;

TEST_CASE("a step of every variant on the GPU is the one on the CPU") {
    const study_size size = quick(4);
    for (const std::string& variant : variant_names()) {
        CAPTURE(variant);
        const job which{"text", variant, "usual", 1};
        const training_settings settings = training_of(which, size);
        const variant_settings of = proverbs().variant(which, size);
        with_variant(variant, of, [&]<class Model>(const Model& model, const auto&) {
            trainer<Model> cpu(model, settings, proverbs().batches(which, size), 1);
            cuda_trainer gpu(make_study_trainer(variant, of, {model.shape(), settings.length, settings.batch}),
                             model.places(), model.shape(), settings, proverbs().batches(which, size));
            const double first = cpu.step(0);
            const double second = cpu.step(1);
            CHECK(gpu.step(0) == doctest::Approx(first).epsilon(1e-5));
            CHECK(gpu.step(1) == doctest::Approx(second).epsilon(1e-4));
        });
    }
}

TEST_CASE("a task that learns by Muon learns by AdamW on a GPU, which has no other") {
    const job which{"byte_pairs", "front", "usual", 1};
    const scratch files;
    job_control control;
    control.on_gpu = true;
    REQUIRE(run_job(which, quick(2), proverbs(), files.folders, control));
    CHECK(read_result(files.folders.result(which)).at("settings").at("optimizer") == "adamw");
}

TEST_CASE("a job that learned on the GPU has the result of the one on the CPU") {
    const job which{"text", "block_front", "usual", 1};
    const auto result = [&](bool on_gpu) {
        const scratch files;
        job_control control;
        control.on_gpu = on_gpu;
        REQUIRE(run_job(which, quick(2), proverbs(), files.folders, control));
        return read_result(files.folders.result(which));
    };
    const auto found = result(true);
    const auto expected = result(false);
    CHECK(found.at("device") == "cuda");
    CHECK(expected.at("device") == "cpu");
    CHECK(found.at("steps") == 2);
    CHECK(found.at("held_out").at("bits").get<double>() ==
          doctest::Approx(expected.at("held_out").at("bits").get<double>()).epsilon(1e-4));
}
