// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string>

#include <unistd.h>

#include "command_line.hpp"
#include "refuse.hpp"

// Options that several programs have. All throw std::invalid_argument, in the words of the command line.

namespace examples {

/// What `read` reads of an option, if it is given.
template <class Read>
auto given(command_line& options, const char* name, const Read& read) {
    return options.has(name) ? std::optional(read(name)) : std::nullopt;
}

/// --threads, of which 0 means all.
inline int threads_of(command_line& options) {
    return static_cast<int>(options.integer("threads", 0, {0, 1024}));
}

/// --view: is the text to be watched as it appears? If nothing is said: if standard output is a terminal.
inline bool wants_view(command_line& options) {
    const std::string view = options.text("view", "auto");
    if (view != "on" && view != "off" && view != "auto") {
        refuse("view", view, "on, off or auto");
    }
    return view == "on" || (view == "auto" && isatty(STDOUT_FILENO) != 0);
}

/// The file that an option names for writing; empty if it is not given. Its name must end in one of the suffixes.
inline std::string output_path(command_line& options, const char* name, std::initializer_list<const char*> suffixes) {
    std::string path = options.text(name, "");
    const auto fits = [&](const char* suffix) { return path.ends_with(suffix); };
    if (!path.empty() && std::none_of(suffixes.begin(), suffixes.end(), fits)) {
        std::string list;
        for (const char* suffix : suffixes) {
            list += (list.empty() ? "" : " or ") + std::string(suffix);
        }
        refuse(name, path, "a name that ends in " + list);
    }
    return path;
}

} // namespace examples
