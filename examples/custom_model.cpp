// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// A model with memory that thinks by attention: it has read a book, and finds the letter for a hole by attending to
/// every place of the book with the letters around the hole as its query. The sampler fills the holes in the order in
/// which they become clear, an observer shows it. Exits with 0 if the text comes back whole.

#include <cmath>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/sampler/sampler.hpp>

using unmask::index_t;
using unmask::token_t;

namespace {

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz .,'";
constexpr auto mask = static_cast<token_t>(letters.size()); // a token without a logit

std::vector<token_t> tokens_of(std::string_view text) {
    std::vector<token_t> tokens;
    for (const char letter : text) {
        tokens.push_back(letter == '_' ? unmask::blank : static_cast<token_t>(letters.find(letter)));
    }
    return tokens;
}

std::string text_of(std::span<const token_t> tokens) {
    std::string text;
    for (const token_t token : tokens) {
        text += token == mask ? '_' : letters[static_cast<std::size_t>(token)];
    }
    return text;
}

/// One attention head with weights that are written down, not learned. A key says which letters are around a place of
/// the book, a value says which letter is there; both are one-hot.
class memory_model {
public:
    explicit memory_model(std::string_view book) : length_(static_cast<index_t>(book.size())) {
        const std::vector<token_t> tokens = tokens_of(book);
        key_.resize(book.size() * head_dim);
        value_.resize(book.size() * head_dim);
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            write_surroundings(tokens, static_cast<index_t>(i), &key_[i * head_dim]);
            value_[i * head_dim + static_cast<std::size_t>(tokens[i])] = 1;
        }
    }

    unmask::vocabulary vocabulary() const { return {.size = mask, .mask = mask, .end = {}}; }

    void denoise(const unmask::canvas& canvas, std::span<const unmask::row> rows,
                 unmask::tensor_view<float, 2> logits) {
        const auto count = static_cast<index_t>(rows.size());
        query_.assign(rows.size() * head_dim, 0);
        output_.resize(rows.size() * head_dim);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            write_surroundings(canvas.tokens(rows[i].sequence), rows[i].position, &query_[i * head_dim]);
        }
        const unmask::attention_tensors<float> tensors{.query = unmask::view(query_.data(), 1, count, 1, head_dim),
                                                       .key = unmask::view(key_.data(), 1, length_, 1, head_dim),
                                                       .value = unmask::view(value_.data(), 1, length_, 1, head_dim),
                                                       .output = unmask::view(output_.data(), 1, count, 1, head_dim)};
        unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::bidirectional{}, unmask::no_sink{},
                                  {.scale = 6.0F}); // a letter that agrees makes a place e⁶ times as likely
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (token_t token = 0; token < mask; ++token) {
                logits(i, token) = std::log(output_[i * head_dim + static_cast<std::size_t>(token)] + 1e-9F);
            }
        }
    }

private:
    static constexpr index_t reach = 2; // letters on either side
    static constexpr std::size_t head_dim = 2 * reach * letters.size();

    // One-hot codes of the letters around a place; a letter that isn't known, or isn't there, is all zeros.
    static void write_surroundings(std::span<const token_t> tokens, index_t at, float* code) {
        for (index_t side = -reach; side <= reach; ++side) {
            const index_t place = at + side;
            if (side == 0) {
                continue;
            }
            if (place >= 0 && place < std::ssize(tokens) && tokens[static_cast<std::size_t>(place)] != mask) {
                code[tokens[static_cast<std::size_t>(place)]] = 1;
            }
            code += letters.size();
        }
    }

    index_t length_;
    std::vector<float> key_;
    std::vector<float> value_;
    std::vector<float> query_;
    std::vector<float> output_;
};

} // namespace

int main() {
    constexpr std::string_view whole =
        "all the king's horses and all the king's men couldn't put humpty together again";
    constexpr std::string_view holes =
        "all th_ ki___s hor___ a__ a__ the _ing's m__ cou____t put h____y to______ ___in";
    memory_model model("humpty dumpty sat on a wall, humpty dumpty had a great fall. "
                       "all the king's horses and all the king's men couldn't put humpty together again. ");

    unmask::canvas canvas(model.vocabulary());
    canvas.add_infill(tokens_of(holes));
    std::printf("      %s\n", text_of(canvas.tokens(0)).c_str());
    const auto show = [](const unmask::sampler_step& step) {
        std::printf("%4d  %s\n", static_cast<int>(step.call) + 1, text_of(step.canvas.tokens(0)).c_str());
    };
    const unmask::sampler sampler{unmask::threshold{0.95}, unmask::negative_entropy{}};
    const unmask::statistics run = sampler(unmask::cpu_executor{}, model, canvas, /*seed=*/1, show);

    std::printf("%d letters in %d calls\n", static_cast<int>(run.committed), static_cast<int>(run.calls));
    return text_of(canvas.tokens(0)) == whole && run.calls < run.committed ? 0 : 1;
}
