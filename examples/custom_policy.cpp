// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
/// A sampling policy of one's own, in a preset; then what can be done with a generation: write it down, play it again
/// without the model, ask how probable it was. Exits with 0 if all of that agrees.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <string>

#include <unmask/sampler/likelihood/likelihood.hpp>
#include <unmask/sampler/likelihood/path_likelihood.hpp>
#include <unmask/sampler/presets.hpp>
#include <unmask/sampler/trace/replay.hpp>
#include <unmask/sampler/trace/trace.hpp>

using unmask::index_t;
using unmask::token_t;

namespace {

/// Commits what is sure enough, but no two neighbours in one call: they depend on each other most, and were predicted
/// without each other.
struct no_neighbours {
    static constexpr auto kind = unmask::policy_kind::selector;
    double probability = 0.5;

    template <class Candidates> // written once: the same on the CPU and on the GPU
    UNMASK_HOST_DEVICE void choose(const Candidates& all, const unmask::step_share& /*share*/) const {
        const double bound = unmask::exact::log_of_probability(probability);
        unmask::index_t next = 0; // the first position that is no neighbour of a chosen one
        all.walk([&](int i) {     // in order of position; if none is chosen, the surest one is
            unmask::candidate& each = all[i];
            each.chosen = each.where.position >= next && each.raw_log_probability >= bound;
            next = each.chosen ? each.where.position + 2 : next;
            return true;
        });
    }
};

/// Wants a letter that differs from those beside it, and favours the early ones.
struct striped_model {
    unmask::vocabulary vocabulary() const { return {.size = 4, .mask = 4, .end = {}}; }

    void denoise(const unmask::canvas& canvas, std::span<const unmask::row> rows,
                 unmask::tensor_view<float, 2> logits) const {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto [sequence, position] = rows[i];
            const auto holds = [&](index_t at, token_t letter) {
                return at >= 0 && at < canvas.length(sequence) && canvas.token(sequence, at) == letter;
            };
            for (token_t letter = 0; letter < 4; ++letter) {
                const bool beside = holds(position - 1, letter) || holds(position + 1, letter);
                logits(i, letter) = (beside ? -9.0F : 0.0F) - static_cast<float>(letter);
            }
        }
    }
};

} // namespace

int main() {
    const striped_model model;
    const unmask::cpu_executor exec;
    unmask::canvas canvas(model.vocabulary());
    canvas.add({}, 24);
    const unmask::canvas before = canvas;

    const auto sampler = unmask::presets::llada({.temperature = 1}).with(no_neighbours{0.4});
    unmask::trace trace;
    const unmask::statistics run = sampler(exec, model, canvas, /*seed=*/1, trace);

    unmask::canvas again = before;
    unmask::replay(trace, again); // without the model
    const unmask::path_likelihood path = unmask::path_log_probability(exec, model, before, trace);
    const unmask::likelihood_bound bound = unmask::log_likelihood(exec, model, canvas, 0);

    std::string text;
    for (const token_t token : canvas.tokens(0)) {
        text += static_cast<char>('a' + token);
    }
    std::printf("%s in %d calls; log p of this path %.2f; bound on log p of the text %.2f ± %.2f\n", text.c_str(),
                static_cast<int>(run.calls), path.log_probability, bound.value, bound.standard_error);

    double sum = 0;
    bool apart = true;
    for (std::size_t i = 0; i < trace.entries.size(); ++i) {
        sum += trace.entries[i].what.log_probability;
        apart = apart && (i == 0 || trace.entries[i].call != trace.entries[i - 1].call ||
                          trace.entries[i].what.where.position > trace.entries[i - 1].what.where.position + 1);
    }
    const bool same = std::equal(again.tokens().begin(), again.tokens().end(), canvas.tokens().begin());
    return apart && same && std::abs(sum - path.log_probability) < 1e-9 && run.calls < 24 ? 0 : 1;
}
