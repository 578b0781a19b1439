// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/tensor/float_types.hpp>

#include "safetensors_header.hpp"

// Tensors in a file, in the safetensors format: eight bytes of header size, a header in JSON, the data. Numbers are
// little-endian, as on every machine this runs on.

namespace language_model {

using unmask::index_t;
static_assert(std::endian::native == std::endian::little);

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
    std::string name; ///< for messages
    std::map<std::string, std::string> metadata;
    std::map<std::string, stored_tensor> tensors;
};

/// Writes a file beside the one that may be there, then puts it in its place: readers see the old one or the new one.
/// Throws std::runtime_error if it can't.
inline void write_safetensors(const std::string& path, const std::vector<tensor_to_store>& tensors,
                              const std::map<std::string, std::string>& metadata,
                              number_format format = number_format::float32) {
    const bool wide = format == number_format::float32;
    const std::size_t bytes_each = bytes_of(format);
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

/// Reads F32 and BF16 tensors from a stream of `size` bytes. The file's name is for messages. Throws file_error, before
/// memory is taken for its tensors, unless every byte has its place.
inline safetensors_file read_safetensors(std::istream& stream, std::uint64_t size, const std::string& name) {
    constexpr std::uint64_t longest_header = 100'000'000; // as in the format's own library
    std::uint64_t header_size = 0;
    if (size < sizeof header_size) {
        throw file_error(name, "the size of the file", std::to_string(size) + " bytes", "at least 8");
    }
    const auto read = [&](void* to, std::uint64_t bytes) {
        if (!stream.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes))) {
            throw file_error(name, "the file", "shorter than it was", std::to_string(size) + " bytes");
        }
    };
    read(&header_size, sizeof header_size);
    const std::uint64_t left = size - sizeof header_size;
    if (header_size > std::min(left, longest_header)) {
        throw file_error(name, "the size of the header", std::to_string(header_size),
                         "at most " + std::to_string(std::min(left, longest_header)));
    }
    std::string text(header_size, '\0');
    read(text.data(), text.size());
    safetensors_header header = parse_safetensors_header(name, text, left - header_size);

    safetensors_file result{.name = name, .metadata = std::move(header.metadata), .tensors = {}};
    for (tensor_entry& entry : header.tensors) {
        std::vector<float> values(entry.size());
        if (entry.format == number_format::float32) {
            read(values.data(), entry.end - entry.begin);
        } else {
            std::vector<unmask::bfloat16> narrow(values.size());
            read(narrow.data(), entry.end - entry.begin);
            std::copy(narrow.begin(), narrow.end(), values.begin());
        }
        result.tensors.emplace(std::move(entry.name), stored_tensor{std::move(entry.shape), std::move(values)});
    }
    return result;
}

/// Reads a file. Throws file_error.
inline safetensors_file read_safetensors(const std::string& path) {
    std::error_code error;
    const std::uint64_t size = std::filesystem::file_size(path, error); // no device or directory has one
    std::ifstream file(path, std::ios::binary);
    if (error || !file) {
        throw file_error(path, "the file", "not readable" + (error ? " (" + error.message() + ")" : ""),
                         "a safetensors file");
    }
    return read_safetensors(file, size, path);
}

} // namespace language_model
