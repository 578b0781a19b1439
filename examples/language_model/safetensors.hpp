// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/tensor/float_types.hpp>

// Tensors in a file, in the safetensors format: eight bytes of header size, a header in JSON, the data. Numbers are
// little-endian, as on every machine this runs on.

namespace language_model {

using unmask::index_t;
static_assert(std::endian::native == std::endian::little);

/// What the numbers of a file are stored as. In memory they are floats.
enum class number_format { float32, bfloat16 };

/// A tensor of a file that is read.
struct stored_tensor {
    std::vector<index_t> shape;
    std::vector<float> values;
};

/// A tensor to be written.
struct tensor_to_store {
    std::string name;
    std::vector<index_t> shape;
    std::span<const float> values;
};

struct safetensors_file {
    std::map<std::string, std::string> metadata;
    std::map<std::string, stored_tensor> tensors;
};

/// Writes a file beside the one that may be there, then puts it in its place: readers see the old one or the new one.
/// Throws std::runtime_error if it can't.
inline void write_safetensors(const std::string& path, const std::vector<tensor_to_store>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              number_format format = number_format::float32) {
    const bool wide = format == number_format::float32;
    const std::size_t bytes_each = wide ? sizeof(float) : sizeof(unmask::bfloat16);
    nlohmann::json header = {{"__metadata__", metadata}};
    std::size_t offset = 0;
    for (const tensor_to_store& tensor : tensors) {
        const std::size_t end = offset + tensor.values.size() * bytes_each;
        header[tensor.name] = {
            {"dtype", wide ? "F32" : "BF16"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
        offset = end;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' '); // data begins at a multiple of eight

    const std::string beside = path + ".new";
    {
        std::ofstream file(beside, std::ios::binary);
        const std::uint64_t size = text.size();
        file.write(reinterpret_cast<const char*>(&size), sizeof size);
        file.write(text.data(), static_cast<std::streamsize>(text.size()));
        for (const tensor_to_store& tensor : tensors) {
            const auto bytes = static_cast<std::streamsize>(tensor.values.size() * bytes_each);
            if (wide) {
                file.write(reinterpret_cast<const char*>(tensor.values.data()), bytes);
            } else {
                const std::vector<unmask::bfloat16> rounded(tensor.values.begin(), tensor.values.end());
                file.write(reinterpret_cast<const char*>(rounded.data()), bytes);
            }
        }
        file.flush();
        if (!file) {
            throw std::runtime_error("cannot write " + beside);
        }
    }
    std::filesystem::rename(beside, path);
}

/// Reads a file of F32 and BF16 tensors. Throws std::runtime_error if it is not one, or is damaged.
inline safetensors_file read_safetensors(const std::string& path) {
    const auto check = [&path](bool condition, const char* fault) {
        if (!condition) {
            throw std::runtime_error(path + ": " + fault);
        }
    };
    std::ifstream file(path, std::ios::binary);
    check(file.good(), "cannot be opened");
    std::uint64_t header_size = 0;
    file.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
    check(file.good() && header_size < (1U << 26), "is not a safetensors file");
    std::string text(header_size, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    check(file.good(), "ends inside its header");
    const std::vector<char> data(std::istreambuf_iterator<char>(file), {});

    safetensors_file result;
    try {
        const auto header = nlohmann::json::parse(text);
        for (const auto& [name, entry] : header.items()) {
            if (name == "__metadata__") {
                result.metadata = entry.template get<std::map<std::string, std::string>>();
                continue;
            }
            stored_tensor tensor;
            tensor.shape = entry.at("shape").template get<std::vector<index_t>>();
            const auto begin = entry.at("data_offsets").at(0).template get<std::size_t>();
            const auto end = entry.at("data_offsets").at(1).template get<std::size_t>();
            const auto type = entry.at("dtype").template get<std::string>();
            check(type == "F32" || type == "BF16", "holds numbers other than F32 and BF16");
            std::size_t count = 1;
            for (const index_t extent : tensor.shape) {
                check(extent >= 0, "holds a tensor of negative extent");
                count *= static_cast<std::size_t>(extent);
            }
            const std::size_t bytes_each = type == "F32" ? sizeof(float) : sizeof(unmask::bfloat16);
            check(begin <= end && end <= data.size() && end - begin == count * bytes_each, "holds a damaged tensor");
            tensor.values.resize(count);
            if (type == "F32") {
                std::memcpy(tensor.values.data(), data.data() + begin, end - begin);
            } else {
                std::vector<unmask::bfloat16> narrow(count);
                std::memcpy(narrow.data(), data.data() + begin, end - begin);
                tensor.values.assign(narrow.begin(), narrow.end());
            }
            result.tensors.emplace(name, std::move(tensor));
        }
    } catch (const nlohmann::json::exception&) {
        check(false, "has a header that cannot be read");
    }
    return result;
}

} // namespace language_model
