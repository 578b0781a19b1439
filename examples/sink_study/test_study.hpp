// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>
#include <string>

#include <unistd.h>

#include "run_job.hpp"

// Folders, data and sizes for tests of jobs.

namespace sink_study {

/// Folders that are gone when the test is.
struct scratch {
    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("unmask_sink_study_" + std::to_string(getpid()));
    study_folders folders{(folder / "results").string(), (folder / "work").string()};

    scratch() {
        std::filesystem::create_directories(folders.results);
        std::filesystem::create_directories(folders.work);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { std::filesystem::remove_all(folder); }
};

inline const study_data& proverbs() {
    static const study_data data = [] {
        std::string text;
        for (int i = 0; i < 60; ++i) {
            text += "a soft answer turneth away wrath: but grievous words stir up anger.\n";
        }
        return study_data(split(text), contents_of(DEFAULT_TOKENIZER));
    }();
    return data;
}

inline study_size quick(index_t steps) {
    study_size size = size_of("tiny");
    size.text.steps = steps;
    size.byte_pairs.steps = steps;
    size.retrieval.steps = steps;
    return size;
}

} // namespace sink_study
