// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "variants.hpp"

namespace sink_study {

/// One run of the study: a model, what it learns, for how long, and from which start. Jobs with the same seed see the
/// same batches and start, tensor by tensor, from the same weights.
struct job {
    std::string task;     ///< text, a token a character; byte_pairs, the same text in them; or retrieval
    std::string variant;  ///< a name of variant_names
    std::string training; ///< none (as it starts), usual or long
    std::uint32_t seed = 1;

    /// The name of its files.
    [[nodiscard]] std::string name() const {
        return task + "-" + variant + (training == "usual" ? "" : "-" + training) + "-seed" + std::to_string(seed);
    }
};

/// All jobs, in an order in which every beginning of the list is worth having: one seed of everything, then the two
/// headline models for longer, then more seeds of both; last these two in byte pairs, seed by seed.
inline std::vector<job> all_jobs() {
    std::vector<job> jobs;
    const auto text = [&](std::uint32_t seed) {
        for (const std::string& variant : variant_names()) {
            jobs.push_back({"text", variant, "usual", seed});
        }
    };
    text(1);
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        for (const char* variant : {"none", "front", "causal"}) {
            jobs.push_back({"retrieval", variant, "usual", seed});
        }
    }
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        for (const char* task : {"text", "retrieval"}) {
            for (const char* variant : {"none", "front"}) {
                jobs.push_back({task, variant, "none", seed});
            }
        }
    }
    const auto longer = [&](std::uint32_t seed) {
        jobs.push_back({"text", "none", "long", seed});
        jobs.push_back({"text", "front", "long", seed});
    };
    longer(1);
    text(2);
    text(3);
    longer(2);
    longer(3);
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
        for (const char* training : {"none", "usual"}) {
            jobs.push_back({"byte_pairs", "none", training, seed});
            jobs.push_back({"byte_pairs", "front", training, seed});
        }
    }
    return jobs;
}

} // namespace sink_study
