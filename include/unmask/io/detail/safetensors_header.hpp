// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/io/detail/json_reader.hpp>
#include <unmask/io/file_error.hpp>
#include <unmask/io/number_type.hpp>
#include <unmask/io/shown.hpp>

UNMASK_NAMESPACE_BEGIN

// The header of a safetensors file, which anybody may have written: what it says is checked against the number of bytes
// that are there before anything is done with it.
namespace detail {

// Where a tensor of a file lies.
struct tensor_entry {
    std::string name;
    number_type type = number_type::f32;
    std::vector<index_t> shape;
    std::uint64_t begin = 0; // bytes after the header
    std::uint64_t end = 0;
};

struct safetensors_header {
    std::map<std::string, std::string> metadata;
    std::vector<tensor_entry> tensors; // in the order of their bytes, which follow one another without a gap
};

// The texts of an array's elements; nothing if the value is no array.
inline std::optional<std::vector<std::string_view>> elements_of(const std::string& file, std::string_view value) {
    if (!value.starts_with('[')) {
        return {};
    }
    std::vector<std::string_view> elements;
    json_reader reader(file, "an array", value);
    reader.array([&] { elements.push_back(reader.value()); });
    return elements;
}

// The integers of an array; nothing if the value is another.
inline std::optional<std::vector<std::uint64_t>> counts_of(const std::string& file, std::string_view value) {
    const auto elements = elements_of(file, value);
    std::vector<std::uint64_t> counts;
    for (const std::string_view element : elements.value_or(std::vector<std::string_view>{})) {
        if (const auto count = json_count(element)) {
            counts.push_back(*count);
        }
    }
    return elements && counts.size() == elements->size() ? std::optional(counts) : std::nullopt;
}

inline std::optional<number_type> type_of_name(std::string_view name) {
    for (std::size_t i = 0; i < number_names.size(); ++i) {
        if (name == number_names[i]) {
            return static_cast<number_type>(i);
        }
    }
    return {};
}

inline std::string list_of_number_names() {
    std::string list;
    for (std::size_t i = number_names.size(); i-- > 0;) {
        list += (list.empty() ? "" : i == 0 ? " or " : ", ") + std::string(number_names[i]);
    }
    return list;
}

inline tensor_entry parse_entry(const std::string& file, const std::string& name, std::string_view value,
                                std::uint64_t data_size) {
    const std::string of_tensor = " of tensor " + shown(name);
    const auto expects = [&](bool condition, const char* key, std::string_view was, const std::string& expected) {
        if (!condition) {
            throw file_error(file, key + of_tensor, shown_plainly(was), expected);
        }
    };
    std::string_view dtype;
    std::string_view shape;
    std::string_view offsets;
    if (value.starts_with('{')) {
        json_reader reader(file, "the description" + of_tensor, value);
        reader.object([&](const std::string& key) {
            const std::string_view text = reader.value();
            if (key == "dtype") {
                dtype = text;
            } else if (key == "shape") {
                shape = text;
            } else if (key == "data_offsets") {
                offsets = text;
            } // else something newer, left out as the format's own library does
        });
    }
    expects(!dtype.empty() && !shape.empty() && !offsets.empty(), "the description", value,
            "an object with dtype, shape and data_offsets");

    tensor_entry result{.name = name, .shape = {}};
    const auto type = dtype.starts_with('"') ? type_of_name(json_reader(file, "dtype", dtype).string()) : std::nullopt;
    expects(type.has_value(), "dtype", dtype, list_of_number_names());
    result.type = *type;

    const auto extents = counts_of(file, shape);
    expects(extents.has_value(), "shape", shape, "an array of integers from 0 on");
    constexpr std::uint64_t most = std::numeric_limits<index_t>::max();
    std::uint64_t bytes = bytes_of(result.type);
    for (const std::uint64_t extent : *extents) {
        expects(extent <= most && (extent == 0 || bytes <= most / extent), "shape", shape, "less than 2^63 bytes");
        bytes *= extent;
        result.shape.push_back(static_cast<index_t>(extent));
    }

    const auto range = counts_of(file, offsets);
    expects(range && range->size() == 2, "data_offsets", offsets, "two integers from 0 on");
    result.begin = (*range)[0];
    result.end = (*range)[1];
    expects(result.begin <= result.end && result.end <= data_size, "data_offsets", offsets,
            "a range of the data's " + std::to_string(data_size) + " bytes");
    expects(result.end - result.begin == bytes, "data_offsets", offsets,
            std::to_string(bytes) + " bytes, for the shape " + shown_plainly(shape) + " in " +
                std::string(name_of(result.type)));
    return result;
}

inline std::map<std::string, std::string> parse_metadata(const std::string& file, std::string_view value) {
    if (!value.starts_with('{')) {
        throw file_error(file, "__metadata__", shown_plainly(value), "an object");
    }
    std::map<std::string, std::string> result;
    json_reader reader(file, "__metadata__", value);
    reader.object([&](const std::string& name) {
        const std::string_view text = reader.value();
        if (!text.starts_with('"')) {
            throw file_error(file, shown(name) + " of __metadata__", shown_plainly(text), "a string");
        }
        result.emplace(name, json_reader(file, "__metadata__", text).string());
    });
    return result;
}

// Every byte of the data belongs to one tensor.
inline void check_order(const std::string& file, const std::vector<tensor_entry>& tensors, std::uint64_t data_size) {
    std::uint64_t end = 0;
    std::string before = "the header";
    for (const tensor_entry& each : tensors) {
        if (each.begin != end) {
            throw file_error(file, "the first byte of tensor " + shown(each.name), std::to_string(each.begin),
                             std::to_string(end) + ", where " + before + " ends");
        }
        end = each.end;
        before = "tensor " + shown(each.name);
    }
    if (end != data_size) {
        throw file_error(file, "the data", std::to_string(data_size) + " bytes",
                         std::to_string(end) + ", where " + before + " ends");
    }
}

// Reads the header of a file that goes on with `data_size` bytes. The file's name is for messages.
inline safetensors_header parse_safetensors_header(const std::string& file, std::string_view text,
                                                   std::uint64_t data_size) {
    json_reader reader(file, "the header", text);
    const std::string_view header = reader.value();
    reader.expect_end();
    if (!text.starts_with('{')) { // JSON may begin with space
        const bool object = header.starts_with('{');
        throw file_error(file, object ? "the first character of the header" : "the header",
                         object ? shown(text.substr(0, 1)) : shown_plainly(header),
                         object ? "'{'" : "an object in JSON");
    }
    safetensors_header result;
    json_reader members(file, "the header", header);
    members.object([&](const std::string& name) {
        const std::string_view value = members.value();
        if (name == "__metadata__") {
            result.metadata = parse_metadata(file, value);
        } else {
            result.tensors.push_back(parse_entry(file, name, value, data_size));
        }
    });
    std::sort(result.tensors.begin(), result.tensors.end(), [](const tensor_entry& a, const tensor_entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    check_order(file, result.tensors, data_size);
    return result;
}

} // namespace detail

UNMASK_NAMESPACE_END
