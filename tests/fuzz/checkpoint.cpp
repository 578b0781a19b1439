// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A file of tensors from anywhere as the model of examples/language_model: loaded, or refused by a file_error.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

#include "checkpoint.hpp"
#include "variant.hpp"

using namespace language_model;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A header and its data, wherever the header ends.
    const std::string bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t header_size = bytes.rfind('}') + 1; // 0 if there is none
    std::string whole(8, '\0');
    for (std::size_t i = 0; i < whole.size(); ++i) {
        whole[i] = static_cast<char>(header_size >> (8 * i));
    }
    whole += bytes;
    try {
        const safetensors_file file = unmask::parse_safetensors(std::as_bytes(std::span(whole)));
        const model_card card = card_of(file);
        with_variant(card.sink, card.shape, [&](const auto& model) {
            if (std::ssize(weights_of(file, model.places())) != model.parameters()) {
                std::abort();
            }
        });
    } catch (const file_error&) { // refused
    }
    return 0;
}
