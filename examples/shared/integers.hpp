// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <unmask/config.hpp>

namespace examples {

using unmask::index_t;

/// The integers that an option or a file may have.
struct integers {
    static constexpr index_t lowest = std::numeric_limits<index_t>::min();
    static constexpr index_t highest = std::numeric_limits<index_t>::max();

    index_t least = lowest;
    index_t most = highest;

    [[nodiscard]] constexpr bool contains(index_t value) const { return value >= least && value <= most; }

    /// The number that a text is, if it is one of them and nothing else.
    [[nodiscard]] std::optional<index_t> parse(std::string_view text) const {
        index_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool whole = error == std::errc() && end == text.data() + text.size();
        return whole && contains(value) ? std::optional(value) : std::nullopt;
    }

    /// For a message: "an integer from 1 to 65536".
    [[nodiscard]] std::string description() const {
        return "an integer" + (least > lowest ? " from " + std::to_string(least) : std::string()) +
               (most < highest ? " to " + std::to_string(most) : std::string(least > lowest ? " on" : ""));
    }
};

} // namespace examples
