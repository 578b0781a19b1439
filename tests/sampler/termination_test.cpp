// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <random>

#include <unmask/sampler/presets.hpp>

#include "models.hpp"

// More than ten thousand runs of every kind of sampler on random canvases and models, hostile ones among them: each
// ends within its bound with right numbers, or says what is wrong and leaves the canvas as it was.

using namespace sampler_test;

namespace {

enum class mood {
    random,
    wants_the_mask, // its most likely token is always the mask
    indifferent,    // all logits equal
    single_minded,  // −∞ for all tokens but one
    sure,           // probabilities that round to 1
    not_a_number,   // the rest spoils one row with an even position
    infinite,
    nothing_allowed,
    forgetful, // leaves a row out
};
constexpr int moods = 9;

struct moody_model {
    unmask::vocabulary tokens;
    mood now = mood::random;
    std::uint64_t seed = 0;
    index_t calls = 0;
    index_t rows = 0;
    bool spoiled = false; // a row that the sampler must not accept

    [[nodiscard]] unmask::vocabulary vocabulary() const { return tokens; }
    void denoise(const canvas& page, std::span<const row> asked, tensor_view<float, 2> logits) {
        denoise(page, asked, std::span<const position_range>(), logits);
    }
    void denoise(const canvas& page, std::span<const row> asked, std::span<const position_range> verified,
                 tensor_view<float, 2> logits) {
        ++calls;
        index_t at = 0;
        for (const row& each : asked) {
            write(page, each, logits, at++);
        }
        for (const position_range& range : verified) {
            for (index_t position = range.begin; position < range.end; ++position) {
                write(page, {range.sequence, position}, logits, at++);
            }
        }
        rows += at;
    }

private:
    void write(const canvas& page, const row& where, tensor_view<float, 2> logits, index_t at) {
        const random_logits random{seed, now == mood::sure ? 400.0 : 3.0, now == mood::indifferent ? 0.0 : 0.1};
        const token_t one = tokens.mask == 0 ? 1 : 0;
        const bool spoils = now >= mood::not_a_number && where.position % 2 == 0 &&
                            mix(seed + static_cast<std::uint64_t>(where.position)) % 3 == 0;
        if (spoils) {
            // What a shadow row of a masked position says is never read.
            spoiled = spoiled || page.state(where.sequence, where.position) == position_state::masked;
        }
        for (token_t token = 0; token < tokens.size; ++token) {
            float logit = random(page.tokens(where.sequence), where.position, token);
            logit = now == mood::wants_the_mask && token == tokens.mask ? 1e4F : logit;
            logit = now == mood::indifferent ? 0.5F : logit;
            logit = now == mood::single_minded ? (token == one ? -7.0F : -infinity) : logit;
            if (spoils) {
                logit = now == mood::nothing_allowed ? -infinity : logit;
                logit = now == mood::not_a_number && token == one ? NAN : logit;
                logit = now == mood::infinite && token == one ? infinity : logit;
            }
            if (!(spoils && now == mood::forgetful)) {
                logits(at, token) = logit;
            }
        }
    }
};

struct random_setting {
    std::mt19937 random;
    vocabulary tokens;
    canvas page{{.size = 1, .mask = 1, .end = {}}};
    index_t longest = 0; // masked positions of a sequence

    index_t up_to(index_t largest) { return std::uniform_int_distribution<index_t>(0, largest)(random); }

    explicit random_setting(unsigned seed) : random(seed) {
        tokens.size = static_cast<token_t>(2 + up_to(6));
        tokens.mask = up_to(2) == 0 ? tokens.size : static_cast<token_t>(up_to(tokens.size - 1));
        const auto end = static_cast<token_t>(up_to(tokens.size - 1));
        tokens.end = up_to(1) == 0 && tokens.holds(end) ? std::optional(end) : std::nullopt;
        page = canvas(tokens);
        for (index_t sequence = up_to(2); sequence >= 0; --sequence) {
            std::vector<token_t> given;
            const index_t share = up_to(3);
            for (index_t i = up_to(12); i > 0; --i) {
                given.push_back(up_to(3) < share ? static_cast<token_t>(up_to(tokens.size - 1)) : blank);
            }
            longest = std::max(longest, page.masked(page.add_infill(given)));
        }
    }
};

// extra: calls that a run of `longest` masked positions may have besides one for each of them.
template <class Sampler>
void check(const Sampler& sampler, index_t extra) {
    index_t errors = 0;
    for (unsigned seed = 0; seed < 720; ++seed) {
        CAPTURE(seed);
        random_setting one(seed);
        moody_model model{one.tokens, static_cast<mood>(seed % moods), seed};
        canvas page = one.page;
        try {
            const statistics result = sampler(cpu_executor{1}, model, page, seed);
            REQUIRE_FALSE(model.spoiled);
            REQUIRE(page.masked() == 0);
            REQUIRE(result.calls == model.calls);
            REQUIRE(result.rows == model.rows);
            REQUIRE(result.calls <= one.longest + extra);
            REQUIRE(result.nfe.denoise <= one.page.masked() + extra * page.sequences());
            REQUIRE(result.committed - result.remasked + result.filled == one.page.masked());
            REQUIRE(result.useful <= result.committed);
            for (index_t sequence = 0; sequence < page.sequences(); ++sequence) {
                for (index_t i = 0; i < page.length(sequence); ++i) {
                    const bool given = one.page.state(sequence, i) == position_state::prompt;
                    REQUIRE((page.state(sequence, i) == position_state::prompt) == given);
                    REQUIRE((given ? page.token(sequence, i) == one.page.token(sequence, i)
                                   : one.tokens.holds(page.token(sequence, i))));
                }
            }
        } catch (const non_finite_logits& error) {
            ++errors;
            REQUIRE(model.spoiled);
            REQUIRE(error.where().position % 2 == 0);
            REQUIRE(to_vector(page.tokens()) == to_vector(one.page.tokens()));
            REQUIRE(page.masked() == one.page.masked());
        }
    }
    CHECK(errors > 20);
    CHECK(errors < 720 * 4 / 9);
}

} // namespace

TEST_CASE("every preset ends, whatever the model") {
    constexpr index_t blocks = 12; // of one position at least
    check(presets::llada({.steps = 7, .block_length = 5, .temperature = 0.7}), 0);
    check(presets::dream({.steps = 9, .temperature = 0.4, .top_p = 0.9, .alg_temp = 0.2, .floor_quota = true}), 0);
    check(presets::fast_dllm({.threshold = 0.6, .block_length = 4}), 0);
    check(presets::fast_dllm_factor({.factor = 0.8}), 0);
    check(presets::dinfer_credit({.threshold = 0.5}), 0);
    check(presets::dinfer_hierarchy({.block_length = 6}), 0);
    check(presets::llada21({.steps = 3, .block_length = 4, .threshold = 0.3, .edit_threshold = 0.1, .edit_rounds = 5}),
          5 * blocks);
    check(presets::klass({.steps = 6, .block_length = 5, .confidence = 0.5, .divergence = 0.5}), 0);
    check(presets::eb({.gamma = 0.7, .temperature = 1}), 0);
    check(presets::mdlm({.steps = 9}), 0);
    check(presets::mdlm_first_hitting(), 0);
    check(presets::remdm({.steps = 11}, remdm_rescale{0.8}), 11);
    check(presets::wino({.block_length = 6}), 0);
    check(presets::duo({.steps = 6}), 6);
    check(presets::diffusion_gemma({.steps = 6, .stable_calls = 0, .entropy = 10}), 6);
}
