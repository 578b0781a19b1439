// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// In bfloat16 training is what it is in float, but for rounding.

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "test_cuda_training.hpp"

using namespace language_model;

namespace {

// Heads of 16 numbers, for tensor cores.
tiny_training with_tensor_cores() {
    tiny_training tiny;
    tiny.shape.width = 32;
    return tiny;
}

cuda_trainer on_gpu(const tiny_training& tiny, const std::string& sink, precision use) {
    return tiny.on_gpu(make_device_trainer(sink, tiny.device(), use), sink);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
    double squares = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        squares += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2.0);
    }
    return std::sqrt(squares);
}

} // namespace

// What is rounded to 8 bits is off by up to 2⁻⁹ of itself. Between a token and its logits there are about 4 such
// roundings a layer, so that logits of size 1 are off by about √10 · 2⁻⁹ = 0.006, and the loss, a mean of differences
// of two logits, by less than 0.012.
TEST_CASE("the loss in bfloat16 is near the loss in float") {
    const tiny_training tiny = with_tensor_cores();
    for (const std::string sink : {"none", "token", "off_by_one", "logit", "key", "key_value"}) {
        CAPTURE(sink);
        cuda_trainer exact = on_gpu(tiny, sink, precision::float32);
        cuda_trainer rounded = on_gpu(tiny, sink, precision::bfloat16);
        const std::vector<float> start = exact.weights();
        CHECK(start == rounded.weights()); // the masters are float
        for (index_t step = 0; step < 2; ++step) {
            const double expected = exact.step(step);
            const double found = rounded.step(step);
            CHECK(found != expected); // it is rounded
            CHECK(std::abs(found - expected) < 0.012);
        }
        // Small gradients may change their sign by rounding, and AdamW moves weights by signs at first.
        CHECK(distance(exact.weights(), rounded.weights()) < 0.2 * distance(exact.weights(), start));
        const bound_settings some{.length = tiny.settings.length, .windows = 2, .draws = 3};
        CHECK(rounded.held_out_bound(tiny.text, tiny.letters.mask(), some).bits ==
              doctest::Approx(exact.held_out_bound(tiny.text, tiny.letters.mask(), some).bits).epsilon(0.01));
    }
}

TEST_CASE("a run in bfloat16 goes on with the same bits after it was saved, and on the CPU too") {
    using model_type = transformer<unmask::bidirectional, unmask::key_value_sink>;
    const tiny_training tiny = with_tensor_cores();
    const model_type model(tiny.shape);
    const std::string path = (std::filesystem::temp_directory_path() / "unmask_test_bfloat16.state").string();
    cuda_trainer whole = on_gpu(tiny, "key_value", precision::bfloat16);
    cuda_trainer resumed = on_gpu(tiny, "key_value", precision::bfloat16);
    trainer<model_type> cpu(model, tiny.settings, tiny.batches(), 1);
    whole.step(0);
    whole.save(path, tiny.card("key_value", 1));
    const safetensors_file file = read_safetensors(path);
    std::filesystem::remove(path);
    resumed.load(file);
    cpu.load(file);
    const double loss = whole.step(1);
    CHECK(resumed.step(1) == loss);
    CHECK(resumed.weights() == whole.weights());
    CHECK(std::abs(cpu.step(1) - loss) < 0.012);
}
