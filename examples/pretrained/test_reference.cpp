// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The models that others trained, against what their own programs compute (reference.json), and as samplers:
//
//     pretrained_reference_tests PACKAGE
//
// where PACKAGE is one of fetch.py's. It says "skipped", and why, where the weights are not there.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <unmask/attention/attention.hpp>
#include <unmask/mask/bidirectional.hpp>

#include "antibody.hpp"
#include "denoiser.hpp"
#include "generation.hpp"
#include "test_folded_token.hpp"

using namespace pretrained;
using nlohmann::json;

namespace {

std::string tested_package;

const unmask::cpu_executor one_thread{1};

loaded_model load(std::string_view name) {
    const std::string path = std::string(DEFAULT_WEIGHTS) + "/" + std::string(name) + ".safetensors";
    return {unmask::read_safetensors(path), model_of_name(name)};
}

json reference() {
    return json::parse(std::ifstream(REFERENCE));
}

// Is it a test of the package that was asked for?
bool is_of(const model_description& model) {
    return model.package == tested_package;
}

// What a pass leaves of a layer and head.
struct seen_head {
    std::vector<float> received;
    std::vector<double> value_norms;
};

struct pass {
    std::vector<float> hidden; ///< [tokens, width]
    std::vector<float> logits; ///< [tokens, vocabulary]
    std::map<std::string, seen_head> heads;
};

pass run(const loaded_model& model, const std::vector<token_t>& tokens) {
    encoder<> fast = model.make_encoder();
    pass result;
    const auto watch = [&](index_t layer, const unmask::attention_tensors<float>& tensors, const auto& mask,
                           const auto& sink) {
        const index_t length = tensors.key.extents[1];
        std::vector<float> received(static_cast<std::size_t>(fast.heads() * length));
        unmask::attention_received(one_thread, tensors, unmask::view(received.data(), index_t{1}, fast.heads(), length),
                                   mask, sink);
        for (index_t head = 0; head < fast.heads(); ++head) {
            seen_head& here = result.heads[std::to_string(layer) + "," + std::to_string(head)];
            here.received.assign(received.begin() + head * length, received.begin() + (head + 1) * length);
            for (index_t key = 0; key < length; ++key) {
                double sum = 0.0;
                for (index_t i = 0; i < fast.head_dim(); ++i) {
                    sum += std::pow(tensors.value(0, key, head, i), 2);
                }
                here.value_norms.push_back(std::sqrt(sum));
            }
        }
    };
    const auto hidden =
        fast.forward(one_thread, tokens, positions_from_0(tokens.size()), unmask::bidirectional{}, no_sinks{}, watch);
    result.hidden.assign(hidden.data, hidden.data + hidden.size());
    if (model.weights.head) {
        result.logits.resize(tokens.size() * static_cast<std::size_t>(fast.vocabulary()));
        fast.logits(one_thread, positions_from_0(tokens.size()),
                    unmask::view(result.logits.data(), std::ssize(tokens), fast.vocabulary()));
    }
    return result;
}

// The largest difference over the largest number that was expected.
template <class Number>
double relative_difference(const Number* is, const std::vector<double>& expected) {
    double difference = 0.0;
    double scale = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double here = std::abs(static_cast<double>(is[i]) - expected[i]);
        difference = here <= difference ? difference : here; // NaN is larger than anything
        scale = std::max(scale, std::abs(expected[i]));
    }
    return difference / scale;
}

double log_probability(const float* logits, std::size_t size, std::size_t token) {
    const double most = *std::max_element(logits, logits + size);
    double sum = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
        sum += std::exp(static_cast<double>(logits[i]) - most);
    }
    return static_cast<double>(logits[token]) - most - std::log(sum);
}

void compare_logits(const json& expected, const pass& is) {
    const auto ids = expected.at("ids").get<std::vector<token_t>>();
    const std::size_t size = is.logits.size() / ids.size();
    std::map<std::size_t, std::vector<double>> rows;
    if (expected.contains("logits")) {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            rows[i] = expected.at("logits").at(i).get<std::vector<double>>();
        }
    } else {
        for (const auto& [position, row] : expected.at("logits_at").items()) {
            rows[std::stoul(position)] = row.get<std::vector<double>>();
        }
    }
    double scale = 0.0; // of the whole text's logits
    double difference = 0.0;
    for (const auto& [position, row] : rows) {
        REQUIRE(row.size() == size);
        for (std::size_t i = 0; i < size; ++i) {
            scale = std::max(scale, std::abs(row[i]));
            const double here = std::abs(static_cast<double>(is.logits[position * size + i]) - row[i]);
            difference = here <= difference ? difference : here;
        }
        const auto begin = is.logits.begin() + static_cast<std::ptrdiff_t>(position * size);
        CHECK(std::max_element(begin, begin + static_cast<std::ptrdiff_t>(size)) - begin ==
              std::max_element(row.begin(), row.end()) - row.begin());
    }
    MESSAGE("logits up to ", scale, ", off by ", difference);
    CHECK(difference <= 2e-5 * scale);
    if (expected.contains("argmax")) {
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const float* row = is.logits.data() + i * size;
            CHECK(std::max_element(row, row + size) - row == expected.at("argmax").at(i).get<std::ptrdiff_t>());
        }
    }
    double loss = 0.0;
    const auto masked = expected.at("masked_positions").get<std::vector<std::size_t>>();
    for (std::size_t i = 0; i < masked.size(); ++i) {
        const auto truth = expected.at("true_ids").at(i).get<std::size_t>();
        loss -= log_probability(is.logits.data() + masked[i] * size, size, truth) / static_cast<double>(masked.size());
    }
    CHECK((masked.empty() || std::abs(loss - expected.at("loss").get<double>()) < 2e-5 * scale));
}

} // namespace

TEST_CASE("logits, losses, received attention and value norms are those of the original") {
    for (const model_description& description : models) {
        if (!is_of(description)) {
            continue;
        }
        const loaded_model model = load(description.name);
        const json all = reference().at(std::string(description.name));
        int cases = 0;
        for (const json& expected : all.at("cases")) {
            CAPTURE(description.name);
            CAPTURE(cases);
            ++cases;
            const auto ids = expected.at("ids").get<std::vector<token_t>>();
            const pass is = run(model, ids);
            for (const auto& [head, row] : expected.at("received").items()) {
                CHECK(relative_difference(is.heads.at(head).received.data(), row.get<std::vector<double>>()) < 2e-5);
            }
            for (const auto& [head, row] : expected.at("value_norms").items()) {
                CHECK(relative_difference(is.heads.at(head).value_norms.data(), row.get<std::vector<double>>()) < 2e-5);
            }
            if (model.weights.head) {
                compare_logits(expected, is);
                continue;
            }
            CHECK(relative_difference(is.hidden.data(), expected.at("hidden").get<std::vector<double>>()) < 2e-5);
            const std::size_t width = is.hidden.size() / ids.size();
            std::vector<double> mean(width, 0.0);
            for (std::size_t i = 0; i < is.hidden.size(); ++i) {
                mean[i % width] += static_cast<double>(is.hidden[i]) / static_cast<double>(ids.size());
            }
            double norm = 0.0;
            for (const double each : mean) {
                norm += each * each;
            }
            for (double& each : mean) {
                each /= std::sqrt(norm);
            }
            CHECK(relative_difference(mean.data(), expected.at("embedding").get<std::vector<double>>()) < 2e-5);
        }
        CHECK(cases == 3);
    }
}

TEST_CASE("texts become the original's tokens") {
    for (const model_description& description : models) {
        if (!is_of(description)) {
            continue;
        }
        const loaded_model model = load(description.name);
        const json all = reference().at(std::string(description.name));
        for (const json& expected : all.at("cases")) {
            auto ids = expected.at("ids").get<std::vector<token_t>>();
            if (expected.contains("masked_positions")) { // the text is the one before it was masked
                for (std::size_t i = 0; i < expected.at("masked_positions").size(); ++i) {
                    ids[expected.at("masked_positions").at(i).get<std::size_t>()] =
                        expected.at("true_ids").at(i).get<token_t>();
                }
            }
            CHECK(model.tokens.encode(expected.at("text").get<std::string>()) == ids);
        }
    }
}

TEST_CASE("a [CLS] that sees only itself folds into the layers' sinks") {
    for (const model_description& description : models) {
        if (!is_of(description)) {
            continue;
        }
        const loaded_model model = load(description.name);
        const json all = reference().at(std::string(description.name));
        for (const json& expected : all.at("cases")) {
            const double difference = difference_of_folding(model, expected.at("ids").get<std::vector<token_t>>());
            MESSAGE(description.name, " without its first token's row: off by ", difference);
            CHECK(difference < 2e-5);
        }
    }
}

TEST_CASE("sapiens: the probabilities that its authors published, to six digits") {
    if (tested_package != "sapiens") {
        return;
    }
    const loaded_model model = load("sapiens_heavy");
    const json published = reference().at("sapiens_heavy").at("published");
    std::vector<token_t> ids = model.tokens.encode(published.at("text").get<std::string>());
    std::replace(ids.begin(), ids.end(), unmask::blank, model.tokens.mask());
    const pass is = run(model, ids);
    const std::size_t size = 25;
    const auto letters = published.at("tokens").get<std::string>();
    for (std::size_t row = 0; row < 5; ++row) {
        for (std::size_t column = 0; column < letters.size(); ++column) {
            const std::size_t token = static_cast<std::size_t>(model.tokens.encode(letters)[column + 1]);
            const double is_one = std::exp(log_probability(is.logits.data() + (row + 1) * size, size, token));
            CHECK(std::round(is_one * 1e6) ==
                  std::round(published.at("probabilities").at(row).at(column).get<double>() * 1e6));
        }
    }
    encoder_denoiser denoiser(model, one_thread);
    unmask::canvas page(denoiser.vocabulary());
    page.add_infill(model.tokens.encode(published.at("text").get<std::string>()));
    generate({.steps = 1, .temperature = 0.0}, denoiser, model, one_thread, page, 1);
    CHECK(model.tokens.decode(page.tokens(0)) == published.at("filled").get<std::string>());
}

TEST_CASE("sapiens writes antibodies from nothing but masks") {
    if (tested_package != "sapiens") {
        return;
    }
    const loaded_model model = load("sapiens_heavy");
    encoder_denoiser denoiser(model, unmask::cpu_executor{});
    unmask::canvas page = empty_antibodies(model, 8);
    const generation_settings settings{.steps = 64, .temperature = 1.0};
    generate(settings, denoiser, model, unmask::cpu_executor{}, page, 1);
    std::vector<std::string> texts;
    for (index_t i = 0; i < page.sequences(); ++i) {
        texts.push_back(model.tokens.decode(page.tokens(i)));
    }
    const antibody_quality quality = quality_of(texts);
    CHECK(quality.texts == 8);
    CHECK(quality.framed >= 7);
    CHECK(quality.distinct == 8);
}

int main(int count, char** words) {
    if (count < 2) {
        std::fprintf(stderr, "usage: pretrained_reference_tests PACKAGE [doctest's options]\n");
        return 1;
    }
    tested_package = words[1];
    for (const model_description& model : models) {
        if (is_of(model) &&
            !std::filesystem::exists(std::string(DEFAULT_WEIGHTS) + "/" + std::string(model.name) + ".safetensors")) {
            std::ifstream file(std::string(DEFAULT_WEIGHTS) + "/" + tested_package + ".skipped");
            std::string reason = "no weights: fetch.py was not run";
            std::getline(file, reason);
            std::printf("skipped: %s\n", reason.c_str());
            return 0;
        }
    }
    return doctest::Context(count - 1, words + 1).run();
}
