// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <unmask/unmask.hpp>

// A model of your own: any type with these two members. This one knows the alphabet, and nothing else: a letter comes
// after the one on its left and before the one on its right. A network would go here.
struct alphabet_model {
    unmask::vocabulary vocabulary() const { return {.size = 26, .mask = 26, .end = {}}; }

    void denoise(const unmask::canvas& canvas, std::span<const unmask::row> rows,
                 unmask::tensor_view<float, 2> logits) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            const auto holds = [&](unmask::index_t at, unmask::token_t letter) {
                return at >= 0 && at < canvas.length(sequence) && letter < 26 && canvas.token(sequence, at) == letter;
            };
            for (unmask::token_t letter = 0; letter < 26; ++letter) {
                const bool fits = holds(position - 1, letter - 1) || holds(position + 1, letter + 1);
                logits(i, letter) = fits ? 10.0F : 0.0F;
            }
        }
    }
};

int main() {
    const alphabet_model model;
    std::vector<unmask::token_t> page(9, unmask::blank);
    page[4] = 'e' - 'a'; // _ _ _ _ e _ _ _ _
    unmask::canvas canvas(model.vocabulary());
    canvas.add_infill(page);

    const unmask::sampler sampler{unmask::threshold{0.9}}; // commit what is at least 90 % sure
    const unmask::statistics run = sampler(unmask::cpu_executor{}, model, canvas, /*seed=*/1);

    std::string text;
    for (const unmask::token_t token : canvas.tokens(0)) {
        text += static_cast<char>('a' + token);
    }
    std::printf("%s, %.1f letters a call of the model\n", text.c_str(), run.tpf());
    return text == "abcdefghi" ? 0 : 1;
}
