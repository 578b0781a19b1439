// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dlm {

/// A part of a text, and whether it is a match or lies between matches.
struct text_part {
    std::string_view text;
    bool is_match;
};

/// A regular expression as tokenizer.json has them: look-ahead, Unicode classes.
class regex {
public:
    /// Throws std::runtime_error, with the place, if the pattern is none.
    explicit regex(const std::string& pattern);
    ~regex();
    regex(regex&&) noexcept;
    regex& operator=(regex&&) noexcept;

    /// The expression that a text and nothing else matches.
    static regex literal(std::string_view text);

    /// All of a text, in order: its matches from left to right, and what lies between them. Matches of
    /// nothing don't count. The text must be UTF-8.
    [[nodiscard]] std::vector<text_part> parts(std::string_view text) const;

    /// How many bytes of a text a match at its start has; 0 if there is none.
    [[nodiscard]] std::size_t match_at_start(std::string_view text) const;

private:
    struct compiled;
    std::unique_ptr<compiled> compiled_;
};

} // namespace dlm
