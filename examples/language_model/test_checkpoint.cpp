// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What a file says of the model in it.

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <unmask/sink/no_sink.hpp>

#include "checkpoint.hpp"

using namespace language_model;

namespace {

// A tensor of ones.
stored_tensor ones(std::vector<index_t> shape) {
    const index_t size = std::accumulate(shape.begin(), shape.end(), index_t{1}, std::multiplies<>());
    const auto numbers = std::make_shared<std::vector<float>>(size, 1.0F);
    stored_tensor tensor = tensor_values<float>{std::move(shape), *numbers, numbers};
    tensor.file = "f";
    return tensor;
}

safetensors_file described() {
    const model_card card{.shape = {.vocabulary = 4, .width = 8, .layers = 2, .heads = 2, .ffn = 6},
                          .tokens = {"\nabc", {}},
                          .sink = "none",
                          .length = 32,
                          .step = 7};
    safetensors_file file{.name = "f", .metadata = to_metadata(card), .tensors = {}};
    for (const tensor_place& place : places_of<unmask::no_sink>(card.shape, 0)) {
        file.tensors[place.name] = ones({place.rows, place.columns});
    }
    return file;
}

template <class Use>
std::string complaint(const Use& use) {
    try {
        use();
        return "";
    } catch (const file_error& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("a card survives the metadata") {
    const model_card card = card_of(described());
    CHECK(card.shape == model_shape{.vocabulary = 4, .width = 8, .layers = 2, .heads = 2, .ffn = 6});
    CHECK(card.tokens.alphabet == "\nabc");
    CHECK(card.sink == "none");
    CHECK(card.length == 32);
    CHECK(card.step == 7);
}

TEST_CASE("metadata that no model has is refused: the key, what it was, what was expected") {
    const std::vector<std::pair<const char*, index_t>> sizes = {{"length", most_length},
                                                                {"width", most_width},
                                                                {"layers", most_layers},
                                                                {"heads", most_width},
                                                                {"ffn", most_width}};
    for (const auto& [key, most] : sizes) {
        for (const std::string was :
             {"9223372036854775807", "4611686018427387904", "9223372036854775808", "100000000000", "65537", "0", "-1",
              "-192", "abc", "256abc", "", " 8", "8 ", "+8", "8.0", "1e1", "0x8", "\x1b"}) {
            safetensors_file file = described();
            file.metadata[key] = was;
            CHECK(complaint([&] { card_of(file); }) == "f: '" + std::string(key) + "' of the metadata is " +
                                                           shown(was) + ", expected an integer from 1 to " +
                                                           std::to_string(most));
        }
    }
    for (const auto& [key, was, expected] : std::vector<std::array<std::string, 3>>{
             {"step", "-1", "an integer from 0 on"},
             {"step", "7 steps", "an integer from 0 on"},
             {"width", "10", "an even multiple of the heads (2)"},
             {"heads", "3", ""},
             {"heads", "65536", ""},
             {"sink", "Token", "none, token, off_by_one, logit, key or key_value"},
             {"alphabet", "", "characters of ASCII that can be seen, newline or tab, each once"},
             {"alphabet", "aba", "characters of ASCII that can be seen, newline or tab, each once"},
             {"alphabet", "\x1b]", "characters of ASCII that can be seen, newline or tab, each once"}}) {
        safetensors_file file = described();
        file.metadata[key] = was;
        const std::string said = complaint([&] { card_of(file); });
        if (expected.empty()) {
            CHECK(said == "f: 'width' of the metadata is '8', expected an even multiple of the heads (" + was + ")");
        } else {
            CHECK(said == "f: '" + key + "' of the metadata is " + shown(was) + ", expected " + expected);
        }
    }
    for (const auto& [key, value] : described().metadata) {
        safetensors_file file = described();
        file.metadata.erase(key);
        CHECK(complaint([&] { card_of(file); }) ==
              "f: '" + key + "' of the metadata is missing, expected that of a model");
    }
    model_card mixing = card_of(described());
    mixing.shape.mixes_neighbours = true;
    safetensors_file refused = described();
    refused.metadata = to_metadata(mixing);
    CHECK(complaint([&] { card_of(refused); }) == "f: 'mixes_neighbours' of the metadata is '1', expected none: such a "
                                                  "model is for studies alone");
    // The largest that are allowed.
    safetensors_file file = described();
    file.metadata["width"] = file.metadata["ffn"] = file.metadata["length"] = "65536";
    file.metadata["layers"] = "4096";
    const model_card card = card_of(file);
    const auto places = places_of<unmask::no_sink>(card.shape, 0);
    CHECK(size_of(places) > 0);
    CHECK(complaint([&] { weights_of(file, places); }) ==
          "f: the shape of tensor 'embedding' is [5, 8], expected [5, 65536]");
}

TEST_CASE("sizes that no model has are named") {
    const model_shape shape{.vocabulary = 4, .width = 8, .layers = 2, .heads = 2, .ffn = 6};
    CHECK_FALSE(shape.fault());
    const auto fault = [&](index_t model_shape::* size, index_t value) {
        model_shape other = shape;
        other.*size = value;
        const auto found = other.fault();
        REQUIRE(found);
        CHECK(found->was == (std::string(found->name) == "width" ? other.width : value));
        return found->name + std::string(", expected ") + found->expected;
    };
    for (const index_t value : {integers::lowest, index_t{-1}, index_t{0}, index_t{65537}, integers::highest}) {
        CHECK(fault(&model_shape::width, value) == "width, expected an integer from 1 to 65536");
        CHECK(fault(&model_shape::layers, value) == "layers, expected an integer from 1 to 4096");
        CHECK(fault(&model_shape::heads, value) == "heads, expected an integer from 1 to 65536");
        CHECK(fault(&model_shape::ffn, value) == "ffn, expected an integer from 1 to 65536");
    }
    CHECK(fault(&model_shape::width, 6) == "width, expected an even multiple of the heads (2)");
    CHECK(fault(&model_shape::heads, 3) == "width, expected an even multiple of the heads (3)");
}

TEST_CASE("a number of the metadata is a finite number") {
    safetensors_file file = described();
    file.metadata["seconds"] = "12.5";
    CHECK(number_of(file, "seconds") == 12.5);
    for (const std::string was : {"", "abc", "1x", " 1", "nan", "inf", "1e999"}) {
        file.metadata["seconds"] = was;
        CHECK(complaint([&] { number_of(file, "seconds"); }) ==
              "f: 'seconds' of the metadata is '" + was + "', expected a number");
    }
}

TEST_CASE("weights are taken if all of them are there, in their shapes") {
    const safetensors_file file = described();
    const auto places = places_of<unmask::no_sink>(card_of(file).shape, 0);
    CHECK(weights_of(file, places) == std::vector<float>(static_cast<std::size_t>(size_of(places)), 1.0F));
    for (const tensor_place& place : places) {
        safetensors_file other = file;
        other.tensors.erase(place.name);
        const std::string shape = "[" + std::to_string(place.rows) + ", " + std::to_string(place.columns) + "]";
        CHECK(complaint([&] { weights_of(other, places); }) ==
              "f: tensor '" + place.name + "' is missing, expected shape " + shape);
        other.tensors[place.name] = ones({place.rows * place.columns});
        CHECK(complaint([&] { weights_of(other, places); }) == "f: the shape of tensor '" + place.name + "' is [" +
                                                                   std::to_string(place.size()) + "], expected " +
                                                                   shape);
        other.tensors[place.name] = ones({});
        CHECK(complaint([&] { weights_of(other, places); }) ==
              "f: the shape of tensor '" + place.name + "' is [], expected " + shape);
    }
}
