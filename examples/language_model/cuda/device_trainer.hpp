// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../batch.hpp"
#include "../rules.hpp"
#include "../shape.hpp"

// What crosses from nvcc to the host's compiler: plain types. The names of the library's types carry the compiler's
// settings.

namespace language_model {

/// What the layers compute with on a GPU. Weights, moments, gradients and the stream are float with both.
enum class precision { float32, bfloat16 };

/// Everything the next step depends on, [parameters] each.
struct training_state {
    std::vector<float> weights;
    std::vector<float> first_moment;
    std::vector<float> second_moment;
};

/// A model on the GPU that learns.
class device_trainer {
public:
    virtual ~device_trainer() = default;

    /// Changes the weights by the gradient of a batch, shortened to largest_norm if it is longer. Returns the loss
    /// before that, in nats a token. Waits for the device once.
    virtual double step(const training_batch& batch, const adamw_step& rule, double largest_norm) = 0;

    /// The loss of a batch of sequences of some length.
    virtual double loss(const training_batch& batch, index_t length) = 0;

    [[nodiscard]] virtual training_state state() const = 0;
    virtual void set_state(const training_state& state) = 0;
};

/// How a model is trained on the GPU.
struct device_training {
    model_shape shape;
    index_t length = 256; ///< of a sequence
    index_t pass = 16;    ///< sequences that go through the model together; a batch is a multiple of them
};

/// A trainer of the model with this sink (one of sink_names), with all weights 0 until its state is set. Throws
/// std::runtime_error if the program has no kernels or there is no GPU, and says what is missing.
std::unique_ptr<device_trainer> make_device_trainer(const std::string& sink, const device_training& training,
                                                    precision use);

} // namespace language_model
