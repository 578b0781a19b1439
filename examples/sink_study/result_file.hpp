// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include "corpus.hpp"

namespace sink_study {

/// Replaces a text file in one go. Throws std::runtime_error if it can't be written.
inline void write_file(const std::string& path, const std::string& text) {
    const std::string beside = path + ".new";
    {
        std::ofstream file(beside);
        file << text;
        if (!file) {
            throw std::runtime_error("cannot write " + beside);
        }
    }
    std::filesystem::rename(beside, path);
}

inline void write_result(const std::string& path, const nlohmann::ordered_json& result) {
    write_file(path, result.dump(2) + '\n');
}

/// Throws std::runtime_error if a file of JSON can't be read.
inline nlohmann::ordered_json read_result(const std::string& path) {
    try {
        return nlohmann::ordered_json::parse(language_model::contents_of(path));
    } catch (const nlohmann::json::exception& error) {
        throw std::runtime_error(path + " is damaged: " + error.what());
    }
}

} // namespace sink_study
