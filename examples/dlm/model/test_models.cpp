// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Models with made weights beside the package `transformers` and the published samplers, as make_cases.py wrote what
// these give into cases/.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <unmask/analysis/sink_tracker.hpp>
#include <unmask/sampler/presets.hpp>

#include "../../../tests/io/scratch_folder.hpp"
#include "fast_dllm_v2.hpp"
#include "made_model.hpp"
#include "models.hpp"

namespace {

using nlohmann::json;
using tokens_t = std::vector<unmask::token_t>;
namespace presets = unmask::presets;

/// A model of a file of cases/, read from a directory that is gone then.
struct made_case {
    explicit made_case(const std::string& name, bool in_shards = false)
        : data(json::parse(std::ifstream(std::string(MODEL_CASES) + "/" + name + ".json"))) {
        const scratch_folder scratch;
        const std::string folder = scratch / "made";
        dlm::write_made_model(folder, data.at("config"), data.at("tensors"), in_shards);
        config = dlm::read_model_config(folder + "/config.json");
        weights.emplace(config, unmask::read_safetensors(folder));
    }

    json data;
    dlm::model_config config;
    std::optional<dlm::decoder> weights;
};

const unmask::cpu_executor exec{2};

std::vector<std::vector<float>> logits_of(auto& model, const unmask::canvas& page,
                                          const std::vector<unmask::row>& rows) {
    const auto size = static_cast<std::size_t>(model.vocabulary().size);
    std::vector<float> memory(rows.size() * size);
    model.denoise(page, rows, unmask::view(memory.data(), std::ssize(rows), static_cast<unmask::index_t>(size)));
    std::vector<std::vector<float>> logits;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        logits.emplace_back(memory.begin() + static_cast<std::ptrdiff_t>(i * size),
                            memory.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
    }
    return logits;
}

// The largest difference between two rows, as a share of the largest logit of the second.
double difference(const std::vector<float>& row, const std::vector<float>& expected) {
    double most = 0.0;
    double scale = 0.0;
    REQUIRE(row.size() == expected.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
        most = std::max(most, std::abs(static_cast<double>(row[i]) - static_cast<double>(expected[i])));
        scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
    }
    return std::isfinite(most) ? most / scale : 1.0;
}

void check_close(const std::vector<std::vector<float>>& rows, const std::vector<std::vector<float>>& expected,
                 double tolerance) {
    REQUIRE(rows.size() == expected.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CHECK(difference(rows[i], expected[i]) < tolerance);
    }
}

// A canvas with these tokens, the mask among them.
unmask::canvas page_of(const unmask::vocabulary& vocabulary, const tokens_t& tokens) {
    unmask::canvas page(vocabulary);
    page.add(tokens, 0);
    return page;
}

std::vector<tokens_t> canvases_of(const auto& sampler, auto& model, const made_case& made) {
    const auto prompt = made.data.at("prompt").get<tokens_t>();
    unmask::canvas page(model.vocabulary());
    page.add(prompt, static_cast<unmask::index_t>(made.data.at("canvases")[0].size()) - std::ssize(prompt));
    std::vector<tokens_t> canvases;
    sampler(exec, model, page, /*seed=*/1, [&](const unmask::sampler_step& step) {
        const auto now = step.canvas.tokens(0);
        canvases.emplace_back(now.begin(), now.end());
        return true;
    });
    return canvases;
}

} // namespace

TEST_CASE("logits are those of transformers") {
    const auto check = [](const std::string& name, bool in_shards, auto&& make, unmask::index_t block) {
        INFO(name);
        const made_case made(name, in_shards);
        auto model = make(*made.weights);
        const auto tokens = made.data.at("tokens").get<tokens_t>();
        const auto expected = made.data.at("logits").get<std::vector<std::vector<float>>>();
        const auto places = made.data.at("rows").get<std::vector<unmask::index_t>>();
        for (std::size_t i = 0; i < places.size(); ++i) {
            // A model in blocks takes what its block and those before it hold.
            const unmask::index_t end = block > 0 ? (places[i] / block + 1) * block : std::ssize(tokens);
            tokens_t seen(tokens.begin(), tokens.begin() + std::min(end, std::ssize(tokens)));
            const unmask::canvas page = page_of(model.vocabulary(), seen);
            unmask::index_t asked = places[i];
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(model)>, dlm::block_model>) {
                asked += made.config.shifts_logits ? 1 : 0;
                if (made.config.shifts_logits && asked % block == 0) {
                    continue; // predicted by the block before: see below
                }
            }
            if (asked < std::ssize(seen)) {
                check_close(logits_of(model, page, {{0, asked}}), {expected[i]}, 1e-4);
            }
        }
    };
    check("llada", false, [](const auto& weights) { return dlm::bidirectional_model<false>(weights, exec); }, 0);
    check("dream", true, [](const auto& weights) { return dlm::bidirectional_model<true>(weights, exec); }, 0);
    check("sdar", false, [](const auto& weights) { return dlm::block_model(weights, exec); }, 4);
    check("fast_dllm_v2", true, [](const auto& weights) { return dlm::block_model(weights, exec); }, 8);
}

TEST_CASE("with kept keys and values come the same logits") {
    const made_case made("llada");
    dlm::bidirectional_model<false> model(*made.weights, exec);
    const auto tokens = made.data.at("tokens").get<tokens_t>();
    const unmask::canvas page = page_of(model.vocabulary(), tokens);
    const std::vector<unmask::row> rows = {{0, 9}, {0, 10}};
    const auto expected = logits_of(model, page, rows);
    std::vector<float> memory(2 * static_cast<std::size_t>(model.vocabulary().size));
    const auto logits = unmask::view(memory.data(), unmask::index_t{2}, unmask::index_t{model.vocabulary().size});
    const std::vector<unmask::cache_use> all = {{{0, 0, 0}, true}};
    const std::vector<unmask::cache_use> block = {{{0, 8, 12}, false}};
    for (const auto& use : {all, block, block}) {
        std::fill(memory.begin(), memory.end(), 0.0F);
        model.denoise(page, rows, use, logits);
        const auto middle = memory.begin() + std::ssize(memory) / 2;
        check_close({{memory.begin(), middle}, {middle, memory.end()}}, expected, 1e-5);
    }
    // What lies outside the block is that of the earlier canvas.
    tokens_t changed = tokens;
    changed[0] = (changed[0] + 1) % 90;
    model.denoise(page_of(model.vocabulary(), changed), rows, block, logits);
    check_close({{memory.begin(), memory.begin() + std::ssize(memory) / 2}}, {expected[0]}, 1e-5);
}

TEST_CASE("block by block come the logits of the whole text") {
    for (const std::string name : {"sdar", "fast_dllm_v2"}) {
        INFO(name);
        const made_case made(name);
        dlm::block_model whole(*made.weights, exec);
        dlm::block_model cached(*made.weights, exec);
        const auto tokens = made.data.at("tokens").get<tokens_t>();
        const unmask::canvas page = page_of(whole.vocabulary(), tokens);
        const unmask::index_t block = whole.block_length();
        cached.prefill(page, {0, 0, 0});
        for (unmask::index_t begin = 0; begin < std::ssize(tokens); begin += block) {
            std::vector<unmask::row> rows;
            for (unmask::index_t i = begin; i < std::min(begin + block, std::ssize(tokens)); ++i) {
                rows.push_back({0, i});
            }
            check_close(logits_of(cached, page, rows), logits_of(whole, page, rows), 1e-5);
            if (begin + block <= std::ssize(tokens)) {
                cached.commit(page, {0, begin, begin + block});
            }
        }
        // A prompt of two blocks at once.
        dlm::block_model prompted(*made.weights, exec);
        prompted.prefill(page, {0, 0, 2 * block});
        check_close(logits_of(prompted, page, {{0, 2 * block}}), logits_of(whole, page, {{0, 2 * block}}), 1e-5);
    }
}

TEST_CASE("sequences of a canvas do not meet") {
    const made_case made("sdar");
    const auto tokens = made.data.at("tokens").get<tokens_t>();
    dlm::block_model one(*made.weights, exec);
    dlm::block_model both(*made.weights, exec);
    unmask::canvas pages = page_of(one.vocabulary(), tokens_t(tokens.rbegin(), tokens.rend()));
    pages.add(tokens, 0);
    const auto expected = logits_of(one, page_of(one.vocabulary(), tokens), {{0, 9}, {0, 10}});
    const auto all = logits_of(both, pages, {{0, 5}, {1, 9}, {1, 10}});
    CHECK(all[1] == expected[0]);
    CHECK(all[2] == expected[1]);
}

TEST_CASE("a tracker sees every layer of every call, and changes no token") {
    const made_case made("sdar");
    const auto sampler = presets::sdar({.steps = 4, .block_length = 4, .threshold = 0.15});
    dlm::block_model model(*made.weights, exec);
    unmask::sink_tracker tracker;
    model.tracker = &tracker;
    unmask::canvas page(model.vocabulary());
    page.add(made.data.at("prompt").get<tokens_t>(), 14);
    sampler(exec, model, page, 1, tracker);
    const auto expected = made.data.at("canvases").get<std::vector<tokens_t>>();
    CHECK(std::ranges::equal(page.tokens(0), expected.back()));
    REQUIRE(tracker.records().size() == expected.size());
    for (const unmask::sink_record& record : tracker.records()) {
        CHECK(record.layers == made.config.layers);
        for (unmask::index_t layer = 0; layer < record.layers; ++layer) {
            for (unmask::index_t head = 0; head < record.heads; ++head) {
                const auto received = record.received_of(layer, head);
                // Each of a block's positions spreads 1 over the keys.
                CHECK(std::accumulate(received.begin(), received.end(), 0.0) == doctest::Approx(4.0));
            }
        }
    }
}

TEST_CASE("tokens come step by step as from the published samplers") {
    {
        const made_case made("llada");
        dlm::bidirectional_model<false> model(*made.weights, exec);
        CHECK(canvases_of(presets::llada({.steps = 8, .block_length = 8}), model, made) ==
              made.data.at("canvases").get<std::vector<tokens_t>>());
    }
    {
        const made_case made("dream");
        dlm::bidirectional_model<true> model(*made.weights, exec);
        CHECK(canvases_of(presets::dream({.steps = 10, .floor_quota = true}), model, made) ==
              made.data.at("canvases").get<std::vector<tokens_t>>());
    }
    {
        const made_case made("sdar");
        dlm::block_model model(*made.weights, exec);
        CHECK(canvases_of(presets::sdar({.steps = 4, .block_length = 4, .threshold = 0.15}), model, made) ==
              made.data.at("canvases").get<std::vector<tokens_t>>());
    }
    {
        const made_case made("fast_dllm_v2");
        dlm::block_model model(*made.weights, exec);
        const unmask::sampler sampler{dlm::fast_dllm_v2{.probability = 0.15, .block = 8, .part = 4}};
        CHECK(canvases_of(sampler, model, made) == made.data.at("canvases").get<std::vector<tokens_t>>());
    }
}

TEST_CASE("a configuration that this decoder can't run is refused, with the field") {
    const scratch_folder scratch;
    const auto fault_of = [&](const std::string& name, const std::string& field, const json& value) -> std::string {
        json config = json::parse(std::ifstream(std::string(MODEL_CASES) + "/" + name + ".json")).at("config");
        config[field] = value;
        const std::string path = scratch / "config.json";
        std::ofstream(path) << config;
        try {
            static_cast<void>(dlm::read_model_config(path));
        } catch (const std::runtime_error& error) {
            const std::string fault = error.what();
            CHECK(fault.starts_with(path));
            return fault.substr(scratch.path.string().size() + 1);
        }
        return "none";
    };
    CHECK(fault_of("dream", "model_type", "bert") ==
          "config.json: model_type is \"bert\", expected llada, Dream, sdar or Fast_dLLM_Qwen");
    CHECK(fault_of("dream", "rope_scaling", {{"rope_type", "yarn"}}) ==
          "config.json: rope_scaling is given, expected none");
    CHECK(fault_of("dream", "hidden_act", "gelu") == "config.json: hidden_act is \"gelu\", expected \"silu\"");
    CHECK(fault_of("dream", "hidden_size", -1) == "config.json: hidden_size is -1, expected an integer of at least 1");
    CHECK(fault_of("dream", "hidden_size", nullptr) ==
          "config.json: hidden_size is missing, expected an integer of at least 1");
    CHECK(fault_of("dream", "mask_token_id", 96) ==
          "config.json: mask_token_id is 96, expected below 96, the size of the vocabulary");
    CHECK(fault_of("dream", "num_key_value_heads", 4).find("expected a divisor of 6") != std::string::npos);
    CHECK(fault_of("llada", "alibi", true) == "config.json: alibi is true, expected false");
    CHECK(fault_of("llada", "rms_norm_eps", "small") ==
          "config.json: rms_norm_eps is \"small\", expected a positive number");
    CHECK(fault_of("sdar", "eos_token_id", json::array({7, 8})) == "none");
    std::ofstream(scratch / "config.json") << "{";
    CHECK_THROWS_AS(static_cast<void>(dlm::read_model_config(scratch / "config.json")), std::runtime_error);
}

TEST_CASE("weights of another shape are refused, with file and tensor") {
    const made_case made("llada");
    const scratch_folder scratch;
    const std::string folder = scratch / "made";
    dlm::write_made_model(folder, made.data.at("config"), made.data.at("tensors"), /*in_shards=*/false);
    dlm::model_config config = made.config;
    config.ffn += 1;
    const std::string expected = folder + "/model.safetensors: the shape of tensor "
                                          "'model.transformer.blocks.0.ff_proj.weight' is [80, 48], expected [81, 48]";
    CHECK_THROWS_WITH_AS(dlm::decoder(config, unmask::read_safetensors(folder)), expected.c_str(), unmask::file_error);
}
