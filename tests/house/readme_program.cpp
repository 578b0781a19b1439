// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A newcomer's program: the mask, the selector, the attention and the tracker of README.md, as they stand there. See
// markdown.py, which writes the blocks to files. Exits with 0 if they do what README.md says.

#include <cstdio>
#include <span>
#include <vector>

#include <unmask/mask/audit.hpp>
#include <unmask/sampler/sampler.hpp>

#include "README.md_1.hpp"
#include "README.md_2.hpp"
#include "README.md_3.hpp"

namespace {

/// Two heads that attend evenly to the tokens so far, but most to the first position.
struct one_layer {
    unmask::sink_tracker* tracker;

    unmask::vocabulary vocabulary() const { return {.size = 8, .mask = 8, .end = {}}; }

    void denoise(const unmask::canvas& canvas, std::span<const unmask::row> rows,
                 unmask::tensor_view<float, 2> logits) const {
        const std::span<const unmask::token_t> tokens = canvas.tokens(rows[0].sequence);
        const std::vector<float> query(tokens.size() * 2 * 8, 1.0F);
        std::vector<float> key(tokens.size() * 8);
        std::vector<float> value(tokens.size() * 8);
        std::vector<float> output(query.size());
        key[0] = 12.0F;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (tokens[i] < 8) {
                value[i * 8 + static_cast<std::size_t>(tokens[i])] = 1.0F;
            }
        }
        attend(query.data(), key.data(), value.data(), output.data(), std::ssize(tokens), rows[0].sequence, *tracker);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            for (unmask::token_t token = 0; token < 8; ++token) {
                logits(i, token) = 9.0F * output[static_cast<std::size_t>(rows[i].position * 16 + token)];
            }
        }
    }
};

bool expect(bool condition, const char* what) {
    if (!condition) {
        std::fprintf(stderr, "not so: %s\n", what);
    }
    return condition;
}

} // namespace

int main() {
    const unmask::mask_policy auto seen = landmarks{5} && unmask::causal{};
    bool right = expect(seen.visible(7, 5) && !seen.visible(3, 5) && !seen.visible(7, 6), "landmarks are seen");
    right &= expect(unmask::audit(landmarks{5}, 24, 24).correct(), "the mask agrees with itself");

    unmask::sink_tracker tracker;
    one_layer model{&tracker};
    const unmask::sink_movement movement = watch(model, tracker);
    right &= expect(tracker.calls() == 10, "the observer ends the run after call 9");
    right &= expect(movement.gated == 10 && movement.change_rate == 0, "the first position is a sink, and stays one");

    unmask::canvas canvas(model.vocabulary());
    canvas.add({}, 6);
    tracker.clear();
    const unmask::sampler sampler{unmask::steps{6}, below_entropy{100}};
    right &= expect(sampler(unmask::cpu_executor{}, model, canvas, 1, tracker).calls == 1, "all are below 100 nats");
    return right ? 0 : 1;
}
