// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <unmask/config.hpp>
#include <unmask/io/detail/json_reader.hpp>
#include <unmask/io/file_error.hpp>
#include <unmask/io/shown.hpp>

UNMASK_NAMESPACE_BEGIN

namespace detail {

// The index of a directory of shards, {"metadata": …, "weight_map": {"tensor": "file", …}}: the file of each tensor,
// which lies beside the index. What else is in it is left out.
inline std::map<std::string, std::string> parse_safetensors_index(const std::string& file, std::string_view text) {
    json_reader reader(file, "the index", text);
    const std::string_view index = reader.value();
    reader.expect_end();
    std::map<std::string, std::string> shards;
    bool found = false;
    if (index.starts_with('{')) {
        json_reader members(file, "the index", index);
        members.object([&](const std::string& key) {
            const std::string_view value = members.value();
            if (key != "weight_map" || !value.starts_with('{')) {
                return;
            }
            found = true;
            json_reader map(file, "weight_map", value);
            map.object([&](const std::string& name) {
                const std::string_view shard = map.value();
                const std::string path = shard.starts_with('"') ? json_reader(file, "a shard", shard).string() : "";
                if (path.empty() || path == "." || path == ".." ||
                    path.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
                    throw file_error(file, "the file of tensor " + shown(name), shown_plainly(shard),
                                     "the name of a file beside the index");
                }
                shards.emplace(name, path);
            });
        });
    }
    if (!found) {
        throw file_error(file, "the index", shown_plainly(index), "an object whose weight_map is an object");
    }
    return shards;
}

} // namespace detail

UNMASK_NAMESPACE_END
