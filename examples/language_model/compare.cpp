// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The table of `generate --compare`.

#include "compare.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <unmask/sampler/cache/cache_drift.hpp>
#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/presets.hpp>

#include "corpus.hpp"
#include "page.hpp"
#include "words.hpp"

namespace language_model {

namespace {

struct contestant {
    const char* preset;
    const char* cache = "none";
};

constexpr contestant contestants[] = {{"llada"},
                                      {"dream"},
                                      {"mdlm"},
                                      {"remdm"},
                                      {"fast_dllm"},
                                      {"fast_dllm", "prefix"},
                                      {"fast_dllm", "dual"},
                                      {"fast_dllm_factor"},
                                      {"dinfer_credit"},
                                      {"dinfer_hierarchy"},
                                      {"klass"},
                                      {"eb"},
                                      {"wino"},
                                      {"llada2"},
                                      {"llada21"},
                                      {"sdar"},
                                      {"llada2", "exact"},
                                      {"sdar", "exact"}};

// Windows of the held-out text, evenly spread, each with an estimate of its own.
void print_bound(const unmask::cpu_executor& exec, language_model_denoiser& model, const std::string& held_out,
                 index_t windows) {
    const std::vector<token_t> tokens = model.codec().encode(held_out);
    const index_t length = model.card().length;
    const index_t available = std::ssize(tokens) / length;
    const index_t count = std::min(windows, available);
    if (count < 1) {
        std::printf("The held-out text is shorter than the %lld characters that a bound needs.\n",
                    static_cast<long long>(length));
        return;
    }
    double sum = 0.0;
    double squares = 0.0;
    for (index_t i = 0; i < count; ++i) {
        const auto begin = static_cast<std::size_t>(i * available / count * length);
        const auto window = std::span(tokens).subspan(begin, static_cast<std::size_t>(length));
        const unmask::likelihood_bound bound = unmask::log_likelihood(
            exec, model, {}, window, {.samples = 32, .batch = 8, .seed = static_cast<std::uint64_t>(i)});
        const std::vector<index_t> lengths = model.codec().lengths(window);
        const auto characters = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), index_t{0}));
        const double bits = -bound.value / (std::numbers::ln2 * characters);
        sum += bits;
        squares += bits * bits;
    }
    const auto n = static_cast<double>(count);
    const double mean = sum / n;
    const double error = count > 1 ? std::sqrt(std::max(squares / n - mean * mean, 0.0) / (n - 1.0)) : 0.0;
    std::printf("The model needs at most %.3f ± %.3f bits for a character of the held-out text (%lld windows).\n", mean,
                error, static_cast<long long>(count));
}

void print_row(const contestant& who, const unmask::canvas& page, const unmask::statistics& result,
               const text_codec& codec, const std::set<std::string>& vocabulary) {
    std::vector<std::string> texts;
    for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
        texts.push_back(text_of(page, sequence, codec));
    }
    const auto samples = static_cast<double>(page.sequences());
    const std::string cache = who.cache;
    const std::string name = who.preset + (cache == "none" ? "" : ", cache " + cache);
    const double seconds = result.seconds_in_model + result.seconds_in_sampling;
    std::printf("| %-23s | %6.1f %% | %6.1f | %4.1f | %6.2f | %6.0f |\n", name.c_str(),
                100.0 * count_known_words(texts, vocabulary).share(), static_cast<double>(result.nfe.denoise) / samples,
                static_cast<double>(result.nfe.prefill + result.nfe.commit + result.nfe.unconditional) / samples,
                result.tpf(), static_cast<double>(result.useful) / seconds);
    std::fflush(stdout);
}

void print_drift(const comparison& how, const char* cache, const unmask::cpu_executor& exec,
                 language_model_denoiser& model, const unmask::canvas& page) {
    const auto sampler = unmask::presets::fast_dllm({.block_length = how.common.block.value_or(32)})
                             .with(draw_of(how.common), chosen_cache::of(cache));
    const unmask::cache_drift drift = unmask::measure_cache_drift(exec, sampler, model, page, how.seed);
    std::printf(
        "The %s cache of fast_dllm changed %.1f %% of the characters; %.2f %% of the distributions had another best "
        "character, with a mean divergence of %.4f nats.\n",
        cache, 100.0 * drift.token_share(),
        100.0 * static_cast<double>(drift.other_best) / static_cast<double>(std::max<index_t>(drift.rows, 1)),
        drift.mean_divergence);
}

} // namespace

void compare_presets(const comparison& how, const unmask::cpu_executor& exec, language_model_denoiser& model,
                     const safetensors_file& file, const unmask::canvas& page) {
    const corpus text = load_corpus(how.text_path);
    const std::set<std::string> vocabulary = vocabulary_of(text.training);
    print_bound(exec, model, text.held_out, page.sequences());
    std::printf(
        "\n%lld texts of %lld characters, %d threads. NFE: calls of the model for a text, and those besides them "
        "(prompt "
        "and finished\nblocks of an exact cache; without the prompt, for guidance). TPF: characters for each of the "
        "former.\n\n",
        static_cast<long long>(page.sequences()), static_cast<long long>(page.length(0)), exec.workers());
    std::printf("| %-23s | %8s | %6s | %4s | %6s | %6s |\n", "preset", "words", "NFE", "more", "TPF", "char/s");
    std::printf("|:------------------------|---------:|-------:|-----:|-------:|-------:|\n");
    for (const contestant& who : contestants) {
        sampling_choice choice = how.common;
        choice.preset = who.preset;
        choice.cache = who.cache;
        unmask::canvas copy = page;
        const unmask::statistics result =
            make_sampler(choice, exec, model, file)(copy, how.seed, [](const auto&) { return true; });
        print_row(who, copy, result, model.codec(), vocabulary);
    }
    std::printf("\n");
    print_drift(how, "prefix", exec, model, page);
    print_drift(how, "dual", exec, model, page);
}

} // namespace language_model
