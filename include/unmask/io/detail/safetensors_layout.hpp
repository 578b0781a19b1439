// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/io/detail/json_reader.hpp>
#include <unmask/io/number_type.hpp>
#include <unmask/io/shown.hpp>
#include <unmask/io/stored_tensor.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// A file that is to be written: its header, and its tensors in the order of their bytes.
struct safetensors_layout {
    std::string header;
    std::vector<const stored_tensor*> tensors;

    void write(std::ostream& out) const {
        const std::uint64_t size = header.size();
        out.write(reinterpret_cast<const char*>(&size), sizeof size);
        out.write(header.data(), std::ssize(header));
        for (const stored_tensor* tensor : tensors) {
            out.write(reinterpret_cast<const char*>(tensor->bytes.data()), std::ssize(tensor->bytes));
        }
    }
};

// The widest numbers first, then by name. Throws invalid_argument for what no file can hold.
inline safetensors_layout layout_of(const std::map<std::string, stored_tensor>& tensors,
                                    const std::map<std::string, std::string>& metadata) {
    const auto expects = [](bool condition, const std::string& argument, const std::string& was, const char* expected) {
        if (!condition) {
            throw invalid_argument("write_safetensors", argument, was, expected);
        }
    };
    const auto quoted = [&](const char* argument, const std::string& text) {
        const auto json = exact_json_string(text);
        expects(json.has_value(), argument, shown(text), "UTF-8");
        return *json;
    };
    std::string texts;
    for (const auto& [key, value] : metadata) {
        texts +=
            (texts.empty() ? "" : ",") + quoted("a name of metadata", key) + ":" + quoted("a text of metadata", value);
    }
    std::string members = metadata.empty() ? "" : "\"__metadata__\":{" + texts + "}";

    std::vector<std::pair<const std::string*, const stored_tensor*>> order;
    for (const auto& [name, tensor] : tensors) {
        order.emplace_back(&name, &tensor);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return bytes_of(a.second->type) > bytes_of(b.second->type); });
    safetensors_layout result;
    std::size_t offset = 0;
    for (const auto& [name, tensor] : order) {
        expects(*name != "__metadata__", "the name of a tensor", shown(*name), "another: this one is the metadata's");
        expects(tensor->has_its_size(), "the size of tensor " + shown(*name),
                std::to_string(tensor->bytes.size()) + " bytes", "that of its shape");
        std::string shape = shown_shape(tensor->shape);
        shape.erase(std::remove(shape.begin(), shape.end(), ' '), shape.end());
        const std::size_t end = offset + tensor->bytes.size();
        members += (members.empty() ? "" : ",") + quoted("the name of a tensor", *name) + ":{\"dtype\":\"" +
                   std::string(name_of(tensor->type)) + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
                   std::to_string(offset) + "," + std::to_string(end) + "]}";
        offset = end;
        result.tensors.push_back(tensor);
    }
    result.header = '{';
    result.header += members;
    result.header += '}';
    result.header.resize((result.header.size() + 7) / 8 * 8, ' '); // data begins at a multiple of eight
    return result;
}

} // namespace detail

UNMASK_NAMESPACE_END
