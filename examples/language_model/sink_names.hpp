// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace language_model {

/// The models that can be asked for by name. `token` is the extra sink token; `key_value` is the same thing folded into
/// the attention, with a key and a value of its own in every layer; the others are its relatives.
inline constexpr std::array<std::string_view, 6> sink_names = {"none",  "token", "off_by_one",
                                                               "logit", "key",   "key_value"};

inline bool is_sink_name(std::string_view name) {
    return std::find(sink_names.begin(), sink_names.end(), name) != sink_names.end();
}

/// For a message: "none, token, off_by_one, logit, key or key_value".
inline std::string list_of_sink_names() {
    std::string list;
    for (const std::string_view name : sink_names) {
        list += list.empty() ? "" : name == sink_names.back() ? " or " : ", ";
        list += name;
    }
    return list;
}

} // namespace language_model
