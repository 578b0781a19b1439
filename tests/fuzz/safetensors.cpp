// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A file of tensors from anywhere, up to the weights of the model in it: read, or refused by a file_error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "variant.hpp"

using namespace language_model;

namespace {

void expects(bool condition) {
    if (!condition) {
        std::abort();
    }
}

// The product, which must not overflow.
index_t count_of(const std::vector<index_t>& shape) {
    index_t count = 1;
    for (const index_t extent : shape) {
        expects(extent >= 0 && !__builtin_mul_overflow(count, extent, &count));
    }
    return count;
}

void read(const std::string& bytes) {
    try {
        std::istringstream stream(bytes);
        const safetensors_file file = read_safetensors(stream, bytes.size(), "file");
        std::size_t numbers = 0;
        for (const auto& [name, tensor] : file.tensors) {
            expects(count_of(tensor.shape) == static_cast<index_t>(tensor.values.size()));
            numbers += tensor.values.size();
        }
        expects(numbers * sizeof(unmask::bfloat16) <= bytes.size());
        const model_card card = card_of(file);
        with_variant(card.sink, card.shape, [&](const auto& model) {
            expects(std::ssize(weights_of(file, model.places())) == model.parameters());
        });
    } catch (const file_error&) { // refused
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    read(bytes);
    // The same as a header and its data, which changes would otherwise seldom leave at their size.
    const std::size_t header_size = bytes.rfind('}') + 1; // 0 if there is none
    std::string frame(8, '\0');
    for (std::size_t i = 0; i < frame.size(); ++i) {
        frame[i] = static_cast<char>(header_size >> (8 * i));
    }
    read(frame + bytes);
    return 0;
}
