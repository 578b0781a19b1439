// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/config.hpp>

#include "file_error.hpp"
#include "shown.hpp"

// The header of a safetensors file, which anybody may have written: what it says is checked against the number of bytes
// that are there before anything is done with it.

namespace language_model {

using unmask::index_t;

/// What the numbers of a file are stored as. In memory they are floats.
enum class number_format { float32, bfloat16 };

constexpr std::uint64_t bytes_of(number_format format) {
    return format == number_format::float32 ? 4 : 2;
}

/// Where a tensor of a file lies.
struct tensor_entry {
    std::string name;
    number_format format = number_format::float32;
    std::vector<index_t> shape;
    std::uint64_t begin = 0; ///< bytes after the header
    std::uint64_t end = 0;

    [[nodiscard]] std::uint64_t size() const { return (end - begin) / bytes_of(format); }
};

struct safetensors_header {
    std::map<std::string, std::string> metadata;
    std::vector<tensor_entry> tensors; ///< in the order of their bytes, which follow one another without a gap
};

namespace detail {

// A value of a header, for a message: a string as all are shown, others as JSON in ASCII.
inline std::string shown(const nlohmann::json& value) {
    constexpr std::size_t longest = 80;
    if (value.is_string()) {
        return language_model::shown(value.get_ref<const std::string&>());
    }
    const std::string text = value.dump(-1, ' ', true);
    return text.size() > longest ? text.substr(0, longest) + "…" : text;
}

// JSON in which no object has a name twice, and nothing is nested deeper than a header needs.
inline nlohmann::json parse_json(const std::string& file, std::string_view text) {
    constexpr int deepest = 3; // the numbers of a shape
    std::vector<std::set<std::string>> names;
    const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
        using events = nlohmann::json::parse_event_t;
        if (depth > deepest) {
            throw file_error(file, "a value of the header", "nested " + std::to_string(depth) + " deep",
                             "at most " + std::to_string(deepest));
        }
        if (event == events::object_start) {
            names.emplace_back();
        } else if (event == events::object_end) {
            names.pop_back();
        } else if (event == events::key && !names.back().insert(value.get<std::string>()).second) {
            throw file_error(file, "the name " + shown(value), "there twice", "once");
        }
        return true;
    };
    try {
        return nlohmann::json::parse(text, check);
    } catch (const nlohmann::json::parse_error& error) {
        const std::size_t end = std::min(error.byte, text.size());
        const std::size_t begin = end - std::min<std::size_t>(end, 20);
        throw file_error(file, "the header up to byte " + std::to_string(end),
                         "…" + language_model::shown(text.substr(begin, end - begin)), "JSON");
    } catch (const nlohmann::json::out_of_range&) {
        throw file_error(file, "a number of the header", "beyond 1.8e308", "an integer");
    }
}

inline tensor_entry parse_entry(const std::string& file, const std::string& name, const nlohmann::json& entry,
                                std::uint64_t data_size) {
    const std::string of_tensor = " of tensor " + language_model::shown(name);
    const auto expects = [&](bool condition, const char* key, const nlohmann::json& was, const std::string& expected) {
        if (!condition) {
            throw file_error(file, key + of_tensor, shown(was), expected);
        }
    };
    expects(entry.is_object() && entry.size() == 3 && entry.contains("dtype") && entry.contains("shape") &&
                entry.contains("data_offsets"),
            "the description", entry, "an object with dtype, shape and data_offsets");
    tensor_entry result{.name = name, .shape = {}};
    constexpr std::uint64_t most = std::numeric_limits<index_t>::max();
    const auto is_count = [](const nlohmann::json& value) { return value.is_number_unsigned(); };

    const nlohmann::json& dtype = entry["dtype"];
    expects(dtype == "F32" || dtype == "BF16", "dtype", dtype, "F32 or BF16");
    result.format = dtype == "F32" ? number_format::float32 : number_format::bfloat16;

    const nlohmann::json& shape = entry["shape"];
    expects(shape.is_array() && std::all_of(shape.begin(), shape.end(), is_count), "shape", shape,
            "an array of integers from 0 on");
    std::uint64_t bytes = bytes_of(result.format);
    for (const nlohmann::json& extent : shape) {
        const auto factor = extent.get<std::uint64_t>();
        expects(factor <= most && (factor == 0 || bytes <= most / factor), "shape", shape, "less than 2^63 bytes");
        bytes *= factor;
        result.shape.push_back(static_cast<index_t>(factor));
    }

    const nlohmann::json& offsets = entry["data_offsets"];
    expects(offsets.is_array() && offsets.size() == 2 && std::all_of(offsets.begin(), offsets.end(), is_count),
            "data_offsets", offsets, "two integers from 0 on");
    result.begin = offsets[0].get<std::uint64_t>();
    result.end = offsets[1].get<std::uint64_t>();
    expects(result.begin <= result.end && result.end <= data_size, "data_offsets", offsets,
            "a range of the data's " + std::to_string(data_size) + " bytes");
    expects(result.end - result.begin == bytes, "data_offsets", offsets,
            std::to_string(bytes) + " bytes, for the shape " + shown(shape) + " in " + dtype.get<std::string>());
    return result;
}

inline std::map<std::string, std::string> parse_metadata(const std::string& file, const nlohmann::json& entry) {
    if (!entry.is_object()) {
        throw file_error(file, "__metadata__", shown(entry), "an object");
    }
    std::map<std::string, std::string> result;
    for (const auto& [name, value] : entry.items()) {
        if (!value.is_string()) {
            throw file_error(file, language_model::shown(name) + " of __metadata__", shown(value), "a string");
        }
        result.emplace(name, value.get<std::string>());
    }
    return result;
}

// Every byte of the data belongs to one tensor.
inline void check_order(const std::string& file, const std::vector<tensor_entry>& tensors, std::uint64_t data_size) {
    std::uint64_t end = 0;
    std::string before = "the header";
    for (const tensor_entry& each : tensors) {
        if (each.begin != end) {
            throw file_error(file, "the first byte of tensor " + language_model::shown(each.name),
                             std::to_string(each.begin), std::to_string(end) + ", where " + before + " ends");
        }
        end = each.end;
        before = "tensor " + language_model::shown(each.name);
    }
    if (end != data_size) {
        throw file_error(file, "the data", std::to_string(data_size) + " bytes",
                         std::to_string(end) + ", where " + before + " ends");
    }
}

} // namespace detail

/// Reads the header of a file that goes on with `data_size` bytes. The file's name is for messages. Throws file_error.
inline safetensors_header parse_safetensors_header(const std::string& file, std::string_view text,
                                                   std::uint64_t data_size) {
    const nlohmann::json header = detail::parse_json(file, text);
    if (!header.is_object()) {
        throw file_error(file, "the header", detail::shown(header), "an object in JSON");
    }
    if (!text.starts_with('{')) { // JSON may begin with a mark or with space
        throw file_error(file, "the first character of the header", shown(text.substr(0, character_size(text))), "'{'");
    }
    safetensors_header result;
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__") {
            result.metadata = detail::parse_metadata(file, entry);
        } else {
            result.tensors.push_back(detail::parse_entry(file, name, entry, data_size));
        }
    }
    std::sort(result.tensors.begin(), result.tensors.end(), [](const tensor_entry& a, const tensor_entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    detail::check_order(file, result.tensors, data_size);
    return result;
}

} // namespace language_model
