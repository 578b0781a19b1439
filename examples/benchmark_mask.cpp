// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// How fast is a mask of your own? Put it in the place of `my_mask` below and run
///
///     benchmark_mask --length 4096 --heads 8
///
/// It is measured beside
///
///   bidirectional   every score: the cost of attention without a mask
///   predicate       the same mask by its `visible` alone: no tile is skipped
///   dense bias      the same mask as a length × length matrix of 0 and −∞, added to the scores of plain softmax(QKᵀ) V
///
/// all on one thread. Exits with 0 if the mask's functions agree with its `visible`, and the outputs with each other.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/audit.hpp>
#include <unmask/mask/bidirectional.hpp>
#include <unmask/mask/mask_policy.hpp>
#include <unmask/mask/predicate.hpp>

using unmask::index_t;

/// The first `front` keys are seen by all queries, and by each the keys up to `width` positions away from it.
struct my_mask {
    index_t front;
    index_t width;

    // The meaning.
    constexpr bool visible(index_t q, index_t k) const { return k < front || (q - k <= width && k - q <= width); }

    // The tiles and the keys that may be skipped. `partial` and {0, keys} would be right, too.
    constexpr unmask::tile_class classify(index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) const {
        const index_t first = std::max(k_begin, front); // the first key that is not one of the front
        const index_t q_last = q_end - 1;
        const index_t k_last = k_end - 1;
        const bool all_are_near = q_last - first <= width && k_last - q_begin <= width;
        const bool some_are_near = q_begin - k_last <= width && first - q_last <= width;
        return first >= k_end || all_are_near     ? unmask::tile_class::full
               : some_are_near || k_begin < front ? unmask::tile_class::partial
                                                  : unmask::tile_class::empty;
    }
    constexpr auto key_ranges(index_t q_begin, index_t q_end, index_t keys) const {
        unmask::ranges<2> seen({0, std::min(front, keys)});
        seen.append({std::max(index_t{0}, q_begin - width), std::min(q_end + width, keys)});
        return seen;
    }

    // Optional: exactly the keys of one row. Without it, kernels ask `visible` for each score of a partial tile.
    constexpr auto row(index_t q, index_t keys) const { return key_ranges(q, q + 1, keys); }
};

/// The mask that is measured at this length.
constexpr my_mask mask_for(index_t length) {
    return {.front = 4, .width = length / 16};
}

namespace {

struct sizes {
    index_t length = 1024;
    index_t heads = 2;
    index_t head_dim = 64;
    int repeats = 3;
};

class benchmark {
public:
    explicit benchmark(const sizes& s)
        : size_(s), query_(random_numbers(1)), key_(random_numbers(2)), value_(random_numbers(3)) {}

    /// The output of attention with a mask, and a line of the table.
    template <unmask::mask_policy Mask>
    std::vector<float> run(const char* name, const Mask& mask) const {
        const unmask::mask_audit work = unmask::audit(mask, size_.length, size_.length);
        std::vector<float> output(query_.size());
        const double seconds =
            best_time([&] { unmask::attention_forward(unmask::cpu_executor{1}, tensors(output), mask); });
        print(name, work, sizeof(Mask), seconds);
        return output;
    }

    /// The same by the plain formula, with the mask as a matrix that is added to the scores.
    template <unmask::mask_policy Mask>
    std::vector<float> run_dense(const char* name, const Mask& mask) const {
        const auto length = static_cast<std::size_t>(size_.length);
        std::vector<float> bias(length * length);
        for (std::size_t q = 0; q < length; ++q) {
            for (std::size_t k = 0; k < length; ++k) {
                const bool visible = mask.visible(static_cast<index_t>(q), static_cast<index_t>(k));
                bias[q * length + k] = visible ? 0.0F : -std::numeric_limits<float>::infinity();
            }
        }
        std::vector<float> output(query_.size());
        const double seconds = best_time([&] { plain_attention(bias, output); });
        unmask::mask_audit work = unmask::audit(unmask::predicate(mask), size_.length, size_.length);
        print(name, work, bias.size() * sizeof(float), seconds);
        return output;
    }

private:
    // Row by row: loops over keys and over the numbers of a head are innermost, so that compilers make vectors of them.
    void plain_attention(const std::vector<float>& bias, std::vector<float>& output) const {
        const auto length = static_cast<std::size_t>(size_.length);
        const auto dim = static_cast<std::size_t>(size_.head_dim);
        const std::size_t stride = static_cast<std::size_t>(size_.heads) * dim;
        const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
        std::vector<float> keys(dim * length); // transposed
        std::vector<float> scores(length);
        for (std::size_t head = 0; head < stride; head += dim) {
            for (std::size_t k = 0; k < length; ++k) {
                for (std::size_t d = 0; d < dim; ++d) {
                    keys[d * length + k] = scale * key_[k * stride + head + d];
                }
            }
            for (std::size_t q = 0; q < length; ++q) {
                std::copy_n(bias.begin() + static_cast<std::ptrdiff_t>(q * length), length, scores.begin());
                for (std::size_t d = 0; d < dim; ++d) {
                    const float factor = query_[q * stride + head + d];
                    const float* line = keys.data() + d * length;
                    for (std::size_t k = 0; k < length; ++k) {
                        scores[k] += factor * line[k];
                    }
                }
                const float largest = *std::max_element(scores.begin(), scores.end());
                float* result = output.data() + q * stride + head;
                std::fill_n(result, dim, 0.0F);
                if (std::isinf(largest)) {
                    continue; // sees nothing
                }
                float sum = 0.0F;
                for (float& score : scores) {
                    score = std::exp(score - largest);
                    sum += score;
                }
                for (std::size_t k = 0; k < length; ++k) {
                    const float weight = scores[k] / sum;
                    const float* line = value_.data() + k * stride + head;
                    for (std::size_t d = 0; d < dim; ++d) {
                        result[d] += weight * line[d];
                    }
                }
            }
        }
    }

    void print(const char* name, const unmask::mask_audit& work, std::size_t bytes, double seconds) const {
        const double scores = static_cast<double>(work.visible_scores * size_.heads);
        std::printf("%-14s %6lld + %-6lld %12zu %10.2f %16.0f\n", name, static_cast<long long>(work.full_tiles),
                    static_cast<long long>(work.partial_tiles), bytes, 1e3 * seconds, 1e-6 * scores / seconds);
    }

    template <class Call>
    double best_time(const Call& call) const {
        double best = std::numeric_limits<double>::infinity();
        for (int i = 0; i < size_.repeats; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            call();
            best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        return best;
    }

    std::vector<float> random_numbers(unsigned seed) const {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        std::vector<float> numbers(static_cast<std::size_t>(size_.length * size_.heads * size_.head_dim));
        std::generate(numbers.begin(), numbers.end(), [&] { return normal(random); });
        return numbers;
    }

    unmask::attention_tensors<float> tensors(std::vector<float>& output) const {
        const auto shaped = [&](auto* data) {
            return unmask::view(data, 1, size_.length, size_.heads, size_.head_dim);
        };
        return {.query = shaped(query_.data()),
                .key = shaped(key_.data()),
                .value = shaped(value_.data()),
                .output = shaped(output.data())};
    }

    sizes size_;
    std::vector<float> query_, key_, value_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        largest = std::fmax(largest, std::isnan(difference) ? INFINITY : difference);
    }
    return largest;
}

sizes sizes_from(int count, char** arguments) {
    sizes result;
    for (int i = 1; i + 1 < count; i += 2) {
        const std::string_view name = arguments[i];
        const long number = std::atol(arguments[i + 1]);
        if (name == "--length") {
            result.length = std::clamp(number, 1L, 4096L); // of the matrix, and of what audit takes
        } else if (name == "--heads") {
            result.heads = std::max(number, 1L);
        } else if (name == "--head_dim") {
            result.head_dim = std::max(number, 1L);
        } else if (name == "--repeats") {
            result.repeats = static_cast<int>(std::max(number, 1L));
        }
    }
    return result;
}

} // namespace

int main(int count, char** arguments) {
    const sizes size = sizes_from(count, arguments);
    const my_mask mask = mask_for(size.length);
    const unmask::mask_audit report = unmask::audit(mask, size.length, size.length);
    const unmask::mask_audit small = unmask::audit(mask_for(64), 64, 64, 8);
    std::printf("audit: %s\n", report.text().c_str());
    if (!small.correct()) {
        std::printf("audit at length 64: %s\n", small.text().c_str());
    }

    std::printf("\n%lld queries and keys, %lld heads of %lld, one thread\n\n", static_cast<long long>(size.length),
                static_cast<long long>(size.heads), static_cast<long long>(size.head_dim));
    std::printf("%-14s %16s %12s %10s %16s\n", "", "64 × 64 tiles,", "bytes of", "", "million visible");
    std::printf("%-14s %15s %12s %10s %16s\n", "mask", "full + partial", "the mask", "ms", "scores a second");
    const benchmark bench(size);
    bench.run("bidirectional", unmask::bidirectional{});
    const std::vector<float> output = bench.run("my_mask", mask);
    const std::vector<float> by_predicate = bench.run("predicate", unmask::predicate(mask));
    const std::vector<float> by_bias = bench.run_dense("dense bias", mask);

    const double difference = std::fmax(largest_difference(output, by_predicate), largest_difference(output, by_bias));
    std::printf("\nlargest difference of the outputs: %.1e\n", difference);
    return report.correct() && small.correct() && difference < 1e-4 ? 0 : 1;
}
