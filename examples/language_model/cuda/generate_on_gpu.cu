// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "generate_on_gpu.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <unmask/executor/caching_memory_resource.cuh>
#include <unmask/sampler/sampler.cuh>

#include "../choice_presets.hpp"
#include "gpu.cuh"
#include "own_stream.cuh"
#include "predictor.cuh"
#include "variants.hpp"

namespace language_model {

namespace {

/// The character model as unmask's sampler sees it on the GPU.
struct gpu_language_model {
    static constexpr bool on_device = true;
    device_predictor* model;
    unmask::vocabulary tokens;

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const unmask::cuda_executor& exec, const unmask::device_canvas& page, const unmask::device_rows& rows,
                 unmask::tensor_view<float, 2> logits) const {
        model->predict(exec, page, rows, logits);
    }
};

std::unique_ptr<device_predictor> predictor_of(const trained_model& trained, precision use) {
    const std::string& sink = trained.card.sink;
    const model_shape& shape = trained.card.shape;
    return use == precision::float32 ? make_device_predictor_of<float>(sink, shape, trained.weights)
                                     : make_device_predictor_of<unmask::bfloat16>(sink, shape, trained.weights);
}

} // namespace

void check_on_gpu(const sampling_choice& choice) {
    if (std::find(gpu_presets.begin(), gpu_presets.end(), choice.preset) == gpu_presets.end()) {
        std::string names;
        for (const std::string_view name : gpu_presets) {
            names += (names.empty() ? "" : name == gpu_presets.back() ? " or " : ", ") + std::string(name);
        }
        refuse("preset", choice.preset, names + " on the GPU");
    }
    if (choice.cache != "none") {
        refuse("cache", choice.cache, "none on the GPU");
    }
    if (choice.guidance != 0) {
        refuse("guidance", std::to_string(choice.guidance), "0 on the GPU");
    }
}

gpu_texts generate_on_gpu(const trained_model& trained, const sampling_choice& choice, const std::vector<token_t>& text,
                          index_t samples, std::uint64_t seed, precision use) {
    check_on_gpu(choice);
    expect_gpu();
    const auto predictor = predictor_of(trained, use);
    const auto vocabulary = static_cast<token_t>(trained.card.shape.vocabulary); // the mask comes after it
    const gpu_language_model model{predictor.get(), {vocabulary, vocabulary, {}}};
    unmask::canvas page(model.vocabulary());
    for (index_t i = 0; i < samples; ++i) {
        page.add_infill(text);
    }
    const own_stream stream;
    unmask::caching_memory_resource scratch;
    const auto begin = std::chrono::steady_clock::now();
    const auto result = with_preset_of_both<std::optional<unmask::statistics>>(choice, [&](const auto& sampler) {
        return sampler(unmask::cuda_executor{stream.get(), &scratch}, model, page, seed);
    });
    gpu_texts written;
    written.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    written.calls = result->calls;
    written.evaluations = result->nfe.denoise;
    written.committed = result->committed;
    for (index_t sequence = 0; sequence < samples; ++sequence) {
        const auto tokens = page.tokens(sequence);
        written.texts.emplace_back(tokens.begin(), tokens.end());
    }
    return written;
}

} // namespace language_model
