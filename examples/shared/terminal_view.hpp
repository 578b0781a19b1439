// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>

#include <sys/ioctl.h>
#include <unistd.h>

#include <unmask/config.hpp>

// A text that changes in place on a terminal, by ANSI escape sequences.

namespace examples {

using unmask::index_t;

/// How a character is shown.
enum class look {
    given,  ///< bold: it was there from the start
    masked, ///< a dim dot, whatever the character
    fresh,  ///< green: written since the last frame
    written ///< plain
};

/// What switches a terminal to it.
inline const char* escape_sequence(look appearance) {
    switch (appearance) {
    case look::given:
        return "\033[0;1m";
    case look::masked:
        return "\033[0;2m";
    case look::fresh:
        return "\033[0;1;32m";
    default:
        return "\033[0m";
    }
}

/// One character of a frame, in UTF-8.
struct cell {
    std::string character = " ";
    look appearance = look::written;
    index_t columns = 1; ///< of the terminal that it takes
};

/// Characters with escape sequences, and how many rows of the terminal they fill. Every row ends with a newline.
struct drawing {
    std::string text;
    index_t rows = 0;
};

/// Draws cells from left to right in rows of up to `width` columns; a newline starts a new row. Rows beyond
/// `most_rows` are left out.
inline drawing draw(std::span<const cell> cells, index_t width, index_t most_rows) {
    constexpr const char* end_of_row = "\033[0m\033[K\n"; // plain again, what an older frame left there erased
    drawing result;
    index_t column = 0;
    look current = look::written;
    const auto finish_row = [&] {
        result.text += end_of_row;
        ++result.rows;
        column = 0;
        current = look::written;
    };
    for (const cell& each : cells) {
        const bool is_masked = each.appearance == look::masked;
        const bool newline = !is_masked && each.character == "\n";
        const index_t columns = is_masked ? 1 : each.columns;
        if (!newline && column + columns > width) {
            finish_row();
        }
        if (result.rows == most_rows) {
            return result;
        }
        if (newline) {
            finish_row();
            continue;
        }
        if (each.appearance != current) {
            current = each.appearance;
            result.text += escape_sequence(current);
        }
        result.text += is_masked ? "·" : each.character;
        column += columns;
    }
    if (column > 0 && result.rows < most_rows) {
        finish_row();
    }
    return result;
}

/// The frames of one text on standard output, each drawn over the last. The cursor is hidden while this object lives;
/// at its end the last frame is erased, and the terminal is as it was before.
class terminal_view {
public:
    terminal_view() { write("\033[?25l"); }
    ~terminal_view() { write(back_to_start() + "\033[0m\033[J\033[?25h"); }
    terminal_view(const terminal_view&) = delete;
    terminal_view& operator=(const terminal_view&) = delete;

    /// Draws the cells, as far as the terminal is high enough, and a line of status below them.
    void show(std::span<const cell> cells, const std::string& status) {
        winsize size{};
        const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
        const index_t width = known ? size.ws_col : 80;
        const index_t height = known ? size.ws_row : 24;
        const drawing picture = draw(cells, width, std::max<index_t>(1, height - 2));
        const std::string line = status.substr(0, static_cast<std::size_t>(width));
        write(back_to_start() + picture.text + "\033[2m" + line + "\033[0m\033[J\n");
        rows_ = picture.rows + 1;
    }

private:
    [[nodiscard]] std::string back_to_start() const {
        return rows_ == 0 ? std::string() : "\r\033[" + std::to_string(rows_) + "A";
    }

    static void write(const std::string& text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }

    index_t rows_ = 0; ///< of the last frame
};

} // namespace examples
