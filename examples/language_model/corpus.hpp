// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cctype>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace language_model {

/// A text in two parts, cut between lines: the last twentieth of the lines is never trained on.
struct corpus {
    std::string training;
    std::string held_out;
};

/// What a command prints. Throws std::runtime_error if it fails.
inline std::string output_of(const std::string& command) {
    struct closer {
        void operator()(std::FILE* pipe) const { pclose(pipe); }
    };
    std::unique_ptr<std::FILE, closer> pipe(popen(command.c_str(), "r"));
    if (!pipe) {
        throw std::runtime_error("cannot run " + command);
    }
    std::string text;
    std::array<char, 1 << 16> buffer{};
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) {
        text.append(buffer.data(), count);
    }
    if (pclose(pipe.release()) != 0 || text.empty()) {
        throw std::runtime_error("no output from " + command);
    }
    return text;
}

inline std::string contents_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

/// "Ge1:1 In the beginning" without its reference: "In the beginning". Other lines stay as they are.
inline std::string_view without_reference(std::string_view line) {
    const auto skip = [&line](std::size_t from, auto accepted) {
        while (from < line.size() && accepted(static_cast<unsigned char>(line[from])) != 0) {
            ++from;
        }
        return from;
    };
    const std::size_t colon = skip(0, [](int c) { return std::isalnum(c); });
    if (colon == 0 || colon == line.size() || line[colon] != ':') {
        return line;
    }
    const std::size_t space = skip(colon + 1, [](int c) { return std::isdigit(c); });
    const bool reference = space > colon + 1 && space < line.size() && line[space] == ' ';
    return reference ? line.substr(space + 1) : line;
}

/// Removes verse references, then cuts: the first 95 % of the lines are for training. Every line keeps its newline.
inline corpus split(std::string_view text) {
    std::string clean;
    clean.reserve(text.size());
    std::size_t lines = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        clean.append(without_reference(text.substr(0, end)));
        clean.push_back('\n');
        ++lines;
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    std::size_t cut = 0;
    for (std::size_t line = 0; line < lines * 95 / 100; ++line) {
        cut = clean.find('\n', cut) + 1;
    }
    return {clean.substr(0, cut), clean.substr(cut)};
}

/// The text of a file; without a path the King James Bible, as Debian's `bible-kjv` prints it, one verse a line.
inline corpus load_corpus(const std::string& path = {}) {
    return split(path.empty() ? output_of("bible -f 'ge1:1-re22:21'") : contents_of(path));
}

} // namespace language_model
