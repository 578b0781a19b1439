// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "weights_file.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unmask/io/safetensors.hpp>

namespace pretrained {

namespace {

// For a shell.
std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char character : text) {
        result += character == '\'' ? std::string("'\\''") : std::string(1, character);
    }
    return result + "'";
}

} // namespace

loaded_model load_model(const std::string& name, const std::string& folder) {
    const model_description& model = model_of_name(name);
    const std::string path = folder + "/" + name + ".safetensors";
    if (!std::filesystem::exists(path)) {
        const std::string package(model.package);
        const std::string command = "python3 " + quoted(FETCH) + " " + quoted(folder) + " " + package + " >&2";
        const int status = std::system(command.c_str());
        if (status != 0 || !std::filesystem::exists(path)) {
            std::string reason = "python3 can't run fetch.py";
            std::ifstream file(folder + "/" + package + ".skipped");
            std::getline(file, reason);
            throw weights_unavailable(reason);
        }
    }
    return {unmask::read_safetensors(path), model};
}

} // namespace pretrained
