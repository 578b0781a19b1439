// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// A mask of your own: a struct with three functions, which then composes with the library's masks and runs on its
/// kernels. Exits with 0 if the functions agree with each other, and the kernel with the reference, which asks the mask
/// nothing but `visible`.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/attention/reference.hpp>
#include <unmask/mask/audit.hpp>
#include <unmask/mask/block.hpp>
#include <unmask/mask/extra_sink.hpp>
#include <unmask/mask/logic.hpp>
#include <unmask/mask/sliding_window.hpp>

using unmask::index_t;

/// Every `stride`-th position is a landmark, which all may see.
struct landmarks {
    index_t stride;

    constexpr bool visible(index_t, index_t k) const { return k % stride == 0; }
    constexpr unmask::tile_class classify(index_t, index_t, index_t k_begin, index_t k_end) const {
        const index_t first = (k_begin + stride - 1) / stride * stride;
        return first < k_end ? unmask::tile_class::partial : unmask::tile_class::empty;
    }
    constexpr auto key_ranges(index_t, index_t, index_t keys) const { return unmask::ranges<1>({0, keys}); }
};
static_assert(unmask::mask_policy<landmarks>);

namespace {

template <unmask::mask_policy Mask>
void print_picture(const Mask& mask, index_t length) {
    for (index_t q = 0; q < length; ++q) {
        std::printf("  %2d  ", static_cast<int>(q));
        for (index_t k = 0; k < length; ++k) {
            std::printf("%s", mask.visible(q, k) ? "██" : "· ");
        }
        std::printf("\n");
    }
}

/// The largest difference between the kernel's output and the reference's.
template <unmask::mask_policy Mask>
double largest_difference(const Mask& mask, index_t length) {
    constexpr index_t heads = 4;
    constexpr index_t kv_heads = 2;
    constexpr index_t head_dim = 64;
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    const auto random_vector = [&](index_t size) {
        std::vector<float> result(static_cast<std::size_t>(size));
        std::generate(result.begin(), result.end(), [&] { return normal(generator); });
        return result;
    };
    const std::vector<float> query = random_vector(length * heads * head_dim);
    const std::vector<float> key = random_vector(length * kv_heads * head_dim);
    const std::vector<float> value = random_vector(length * kv_heads * head_dim);
    std::vector<float> output(query.size());
    std::vector<float> expected(query.size());

    const auto tensors = [&](std::vector<float>& result) {
        return unmask::attention_tensors<float>{.query = unmask::view(query.data(), 1, length, heads, head_dim),
                                                .key = unmask::view(key.data(), 1, length, kv_heads, head_dim),
                                                .value = unmask::view(value.data(), 1, length, kv_heads, head_dim),
                                                .output = unmask::view(result.data(), 1, length, heads, head_dim)};
    };
    unmask::attention_forward(unmask::cpu_executor{}, tensors(output), mask);
    unmask::reference::attention_forward(tensors(expected), mask);

    double largest = 0;
    for (std::size_t i = 0; i < output.size(); ++i) {
        const double difference = std::abs(static_cast<double>(output[i]) - static_cast<double>(expected[i]));
        largest = difference <= largest ? largest : difference; // this way round, NaN is large
    }
    return largest;
}

} // namespace

int main() {
    // Near tokens and landmarks, up to the end of the query's block of 12; and a sink token at position 0.
    const auto mask = unmask::extra_sink{(landmarks{5} || unmask::sliding_window{2, 2}) && unmask::block{12}};
    static_assert(unmask::mask_policy<decltype(mask)>);
    std::printf("extra_sink{(landmarks{5} || sliding_window{2, 2}) && block{12}}\n");
    print_picture(mask, 26);

    // The first contradiction to `visible`, if any, and the cost of answers that say less than they could.
    const unmask::mask_audit report = unmask::audit(landmarks{5}, 60, 60, /*tile=*/4);
    std::printf("audit of landmarks{5}: %s\n", report.text().c_str());

    const double difference = largest_difference(mask, 300);
    std::printf("largest difference from the reference at length 300: %.1e\n", difference);
    return report.correct() && difference < 1e-5 ? 0 : 1;
}
