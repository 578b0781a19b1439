// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "token_cells.hpp"

#include <optional>
#include <string>

#include "tokenizer/unicode.hpp"

namespace dlm {

using examples::cell;
using examples::look;

std::vector<cell> token_cells(const unmask::canvas& page, std::span<const unmask::commitment> commitments,
                              const tokenizer& words) {
    const auto tokens = page.tokens(0);
    const auto states = page.states(0);
    std::vector<look> looks;
    for (const unmask::position_state state : states) {
        looks.push_back(state == unmask::position_state::prompt   ? look::given
                        : state == unmask::position_state::masked ? look::masked
                                                                  : look::written);
    }
    for (const unmask::commitment& each : commitments) {
        look& appearance = looks[static_cast<std::size_t>(each.where.position)];
        appearance = appearance == look::written ? look::fresh : appearance;
    }
    // Characters may be spread over tokens that look alike: these are decoded together.
    std::vector<cell> cells;
    for (std::size_t begin = 0; begin < tokens.size();) {
        std::size_t end = begin + 1;
        while (end < tokens.size() && looks[end] == looks[begin]) {
            ++end;
        }
        if (looks[begin] == look::masked) {
            cells.insert(cells.end(), end - begin, cell{" ", look::masked});
        } else {
            const std::string text = words.decode(tokens.subspan(begin, end - begin), /*show_special=*/true);
            for (std::size_t i = 0; i < text.size();) {
                const std::size_t start = i;
                const char32_t code = next_code_point(text, i);
                const std::string character = text.substr(start, i - start);
                const std::optional<int> columns = code == U'\n' ? 1 : columns_of(code);
                if (columns == 0 && start > 0) {
                    cells.back().character += character;
                } else {
                    cells.push_back({columns ? character : "\xef\xbf\xbd", looks[begin], columns.value_or(1)});
                }
            }
        }
        begin = end;
    }
    return cells;
}

} // namespace dlm
