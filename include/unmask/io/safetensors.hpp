// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file
/// Tensors in files, in the safetensors format: eight bytes of header size, a header in JSON, the data.
/// The format: https://huggingface.co/docs/safetensors.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/io/detail/file_bytes.hpp>
#include <unmask/io/detail/safetensors_header.hpp>
#include <unmask/io/detail/safetensors_index.hpp>
#include <unmask/io/detail/safetensors_layout.hpp>
#include <unmask/io/file_error.hpp>
#include <unmask/io/shown.hpp>
#include <unmask/io/stored_tensor.hpp>

UNMASK_NAMESPACE_BEGIN

/// Tensors by their names: of a file, of a directory of shards, or to be written.
struct safetensors_file {
    std::string name = "memory";                  ///< for messages
    std::map<std::string, std::string> metadata;  ///< texts by their names; of shards, those of all
    std::map<std::string, stored_tensor> tensors; ///< by their names

    /// One of the tensors. Throws file_error if there is none of that name.
    [[nodiscard]] const stored_tensor& tensor(const std::string& tensor_name) const {
        return tensor_with(tensor_name, "there");
    }

    /// One of the tensors. Throws file_error if it is missing or of another shape.
    [[nodiscard]] const stored_tensor& tensor(const std::string& tensor_name, std::span<const index_t> shape) const {
        const stored_tensor& found = tensor_with(tensor_name, "shape " + detail::shown_shape(shape));
        if (!std::equal(shape.begin(), shape.end(), found.shape.begin(), found.shape.end())) {
            throw file_error(found.file, "the shape of tensor " + shown(tensor_name), detail::shown_shape(found.shape),
                             detail::shown_shape(shape));
        }
        return found;
    }

    /// The same for `tensor("head", {640, 64})`.
    [[nodiscard]] const stored_tensor& tensor(const std::string& tensor_name,
                                              std::initializer_list<index_t> shape) const {
        return tensor(tensor_name, std::span(shape.begin(), shape.size()));
    }

private:
    [[nodiscard]] const stored_tensor& tensor_with(const std::string& tensor_name, const std::string& expected) const {
        const auto found = tensors.find(tensor_name);
        if (found == tensors.end()) {
            throw file_error(name, "tensor " + shown(tensor_name), "missing", expected);
        }
        return found->second;
    }
};

/// Reads a file that is in memory. The tensors refer to `bytes`; `memory`, if given, is what owns them. The name is for
/// messages. Costs the header's length.
///
/// Throws file_error unless every byte has its place: the header is JSON in UTF-8 without a name twice, at most 100 MB;
/// each tensor has a known dtype, a shape, and as many bytes as these say; and the tensors cover the data without gap
/// or overlap. Keys of a tensor's description that the format doesn't know are left out, as the format's own library
/// leaves them out: later versions may add some.
[[nodiscard]] inline safetensors_file parse_safetensors(std::span<const std::byte> bytes,
                                                        const std::string& name = "memory",
                                                        const std::shared_ptr<const void>& memory = {}) {
    static_assert(std::endian::native == std::endian::little, "numbers of the format are little-endian");
    constexpr std::uint64_t longest_header = 100'000'000; // as in the format's own library
    std::uint64_t header_size = 0;
    if (bytes.size() < sizeof header_size) {
        throw file_error(name, "the size of the file", std::to_string(bytes.size()) + " bytes", "at least 8");
    }
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    const std::span<const std::byte> rest = bytes.subspan(sizeof header_size);
    const std::uint64_t most = std::min<std::uint64_t>(rest.size(), longest_header);
    if (header_size > most) {
        throw file_error(name, "the size of the header", std::to_string(header_size),
                         "at most " + std::to_string(most));
    }
    const std::string_view text(reinterpret_cast<const char*>(rest.data()), header_size);
    const std::span<const std::byte> data = rest.subspan(header_size);
    detail::safetensors_header header = detail::parse_safetensors_header(name, text, data.size());

    safetensors_file result{.name = name, .metadata = std::move(header.metadata), .tensors = {}};
    for (detail::tensor_entry& entry : header.tensors) {
        stored_tensor tensor;
        tensor.type = entry.type;
        tensor.shape = std::move(entry.shape);
        tensor.bytes = data.subspan(entry.begin, entry.end - entry.begin);
        tensor.memory = memory;
        tensor.file = name;
        tensor.name = entry.name;
        result.tensors.emplace(std::move(entry.name), std::move(tensor));
    }
    return result;
}

namespace detail {

inline safetensors_file read_one_safetensors(const std::string& path) {
    const file_bytes file = open_file(path);
    return parse_safetensors(file.bytes, path, file.memory);
}

inline safetensors_file read_safetensors_shards(const std::string& index_path) {
    const file_bytes index = open_file(index_path);
    const std::filesystem::path folder = std::filesystem::path(index_path).parent_path();
    std::map<std::string, safetensors_file> shards;
    safetensors_file result{.name = index_path, .metadata = {}, .tensors = {}};
    const std::string_view text(reinterpret_cast<const char*>(index.bytes.data()), index.bytes.size());
    for (const auto& [tensor, shard] : parse_safetensors_index(index_path, text)) {
        auto file = shards.find(shard);
        if (file == shards.end()) {
            file = shards.emplace(shard, read_one_safetensors((folder / shard).string())).first;
            result.metadata.insert(file->second.metadata.begin(), file->second.metadata.end());
        }
        result.tensors.emplace(tensor, file->second.tensor(tensor));
    }
    return result;
}

} // namespace detail

/// Reads a file; or a directory of shards, by its model.safetensors.index.json or that file's path; or a directory's
/// model.safetensors. Files are mapped into memory where the system can: that costs the length of the headers, and a
/// tensor's pages are read when they are touched. The files must not be cut short while the tensors are used; replacing
/// them, as write_safetensors does, is safe.
///
/// Throws file_error as parse_safetensors does, and if a file is not there or is no file, or if a shard lacks a tensor
/// that the index promises. Tensors of shards that the index doesn't mention are left out.
[[nodiscard]] inline safetensors_file read_safetensors(const std::string& path) {
    constexpr const char* index = "model.safetensors.index.json";
    std::error_code error; // of no interest: what can't be looked at can't be opened
    if (std::filesystem::is_directory(path, error)) {
        const std::filesystem::path folder = path;
        return std::filesystem::exists(folder / index, error)
                   ? detail::read_safetensors_shards((folder / index).string())
                   : detail::read_one_safetensors((folder / "model.safetensors").string());
    }
    return path.ends_with(".index.json") ? detail::read_safetensors_shards(path) : detail::read_one_safetensors(path);
}

/// Writes tensors to a stream, the widest numbers first, then by name: each begins at a multiple of its numbers' size.
/// Throws invalid_argument, with nothing written, if a name or metadata is no UTF-8, if a tensor is named __metadata__,
/// or if a shape and its bytes disagree. The caller checks whether writing succeeded.
inline void write_safetensors(std::ostream& out, const std::map<std::string, stored_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
    detail::layout_of(tensors, metadata).write(out);
}

/// Writes a file beside the one that may be there, then puts it in its place: readers see the old one or the new one.
/// Throws as the other one does, and file_error if the file can't be written.
inline void write_safetensors(const std::string& path, const std::map<std::string, stored_tensor>& tensors,
                              const std::map<std::string, std::string>& metadata = {}) {
    const detail::safetensors_layout layout = detail::layout_of(tensors, metadata);
    const std::string beside = path + ".new";
    std::ofstream file(beside, std::ios::binary);
    layout.write(file);
    file.close();
    std::error_code error;
    if (file) {
        std::filesystem::rename(beside, path, error);
    }
    if (!file || error) {
        std::error_code ignored;
        std::filesystem::remove(beside, ignored);
        throw file_error(path, "the file", "not written" + (error ? " (" + error.message() + ")" : ""),
                         "a place with room and permission to write");
    }
}

UNMASK_NAMESPACE_END
