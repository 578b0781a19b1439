// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What a project that uses the library may write: attention, and the sampler around a model of its own.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <vector>

#include <unmask/unmask.hpp>

#if defined(EXPECTED_VERSION)
static_assert(UNMASK_VERSION == EXPECTED_VERSION, "the headers are those of the package");
#endif
#if defined(EXPECTED_OPENMP) && !defined(_OPENMP)
#error "OpenMP is here, but the library's target does not bring it"
#endif

namespace {

bool attention_works() {
    // One sequence of 4 positions; 2 query heads share 1 head of keys and values; 8 numbers a head.
    const std::vector<float> query(4 * 2 * 8, 0.5F);
    const std::vector<float> key(4 * 1 * 8, 0.5F);
    const std::vector<float> value(4 * 1 * 8, 1.0F);
    std::vector<float> output(query.size());
    const unmask::attention_tensors<float> tensors{
        .query = unmask::view(query.data(), 1, 4, 2, 8), // [batch, length, heads, head_dim]
        .key = unmask::view(key.data(), 1, 4, 1, 8),
        .value = unmask::view(value.data(), 1, 4, 1, 8),
        .output = unmask::view(output.data(), 1, 4, 2, 8),
    };
    unmask::attention_forward(unmask::cpu_executor{}, tensors, unmask::block{2} && unmask::sliding_window{1, 1});
    return std::ranges::all_of(output, [](float mean) { return std::abs(mean - 1.0F) < 1e-6F; });
}

/// Sure of one text, whatever the canvas holds.
struct one_text {
    std::vector<unmask::token_t> text;

    unmask::vocabulary vocabulary() const { return {.size = 5, .mask = 4}; }
    void denoise(const unmask::canvas&, std::span<const unmask::row> rows, unmask::tensor_view<float, 2> logits) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (unmask::token_t token = 0; token < 5; ++token) {
                const bool right = token == text[static_cast<std::size_t>(rows[i].position)];
                logits(i, token) = right ? 9.0F : 0.0F;
            }
        }
    }
};

bool sampler_works() {
    one_text model{{3, 1, 0, 2, 2, 1}};
    unmask::canvas page(model.vocabulary());
    page.add({}, 6);
    const unmask::sampler sampler{unmask::steps{3}};
    const unmask::statistics result = sampler(unmask::cpu_executor{}, model, page, 1);
    return result.calls == 3 && std::ranges::equal(page.tokens(), model.text);
}

} // namespace

int main() {
    if (!attention_works()) {
        std::printf("attention is wrong\n");
        return 1;
    }
    if (!sampler_works()) {
        std::printf("the sampler is wrong\n");
        return 1;
    }
    return 0;
}
