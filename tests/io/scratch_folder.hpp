// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>
#include <string>

#include <unistd.h>

/// A folder of this process, which is removed with the object.
struct scratch_folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("unmask_test_io_" + std::to_string(getpid()));

    scratch_folder() {
        std::filesystem::remove_all(path);
        std::filesystem::create_directory(path);
    }
    ~scratch_folder() { std::filesystem::remove_all(path); }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;

    /// The path of a file in it.
    std::string operator/(const char* name) const { return (path / name).string(); }
};
