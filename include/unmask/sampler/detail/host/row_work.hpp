// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/error.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/step/divergence.hpp>
#include <unmask/sampler/detail/step/unwritten_row.hpp>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/logits/logits_policy.hpp>
#include <unmask/sampler/logits_stream.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/tensor/float_types.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The error of a row that has no statistics.
template <class Logit>
std::string logits_fault(std::span<const Logit> logits) {
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const auto logit = static_cast<float>(logits[i]);
        if (is_bad_logit(logit)) {
            const bool infinite = bits_as<std::uint32_t>(logit) == 0x7f800000U;
            return (is_unwritten(logit) ? "not written at token "
                    : infinite          ? "+infinity at token "
                                        : "NaN at token ") +
                   std::to_string(i);
        }
    }
    return "-infinity for every token";
}

// An error of a candidate. The first one in the order of candidates is thrown, not the first in time.
struct row_fault {
    std::size_t candidate;
    row where;
    std::string logits{};      // the error of its logits; if empty,
    const char* what = "";     // this result of a user's policy was
    const char* expected = ""; // not what was expected, but
    std::string was{};
};

// The work on the logits of a call: draws a token for every candidate and scores it.
template <class Executor, class Policies>
class row_work {
public:
    row_work(const Executor& exec, const canvas& page, const Policies& policies)
        : exec_(exec), page_(page), policies_(policies), scratch_(static_cast<std::size_t>(exec.workers())) {
        if constexpr (remembers) {
            memory_.resize(page.tokens().size());
        }
        if constexpr (diverges) {
            history_.resize(page.tokens().size());
        }
    }

    // The result does not depend on which worker handles a row. prepare(candidate, sequence) is called before a
    // candidate is read.
    template <class Call, class Sequence, class Prepare>
    void draw(Call& call, std::span<candidate> candidates, std::span<const Sequence> sequences,
              const Prepare& prepare) {
        constexpr std::size_t logits_per_task = 1 << 15;
        const std::size_t grain =
            std::max<std::size_t>(1, logits_per_task / static_cast<std::size_t>(page_.vocabulary().size));
        for (worker_scratch& each : scratch_) {
            each.fault.reset();
        }
        const std::size_t tasks = (candidates.size() + grain - 1) / grain;
        exec_.parallel_for(static_cast<index_t>(tasks), [&](index_t task, int worker) {
            worker_scratch& scratch = scratch_[static_cast<std::size_t>(worker)];
            std::size_t i = static_cast<std::size_t>(task) * grain;
            const std::size_t end = std::min(candidates.size(), i + grain);
            auto sequence = std::upper_bound(sequences.begin(), sequences.end(), i,
                                             [](std::size_t at, const Sequence& one) { return at < one.last; });
            for (; i < end; ++sequence) {
                const auto& draw = draw_of(*sequence);
                for (; i < std::min(end, sequence->last); ++i) {
                    prepare(candidates[i], *sequence);
                    draw_row(call, candidates[i], i, draw, scratch);
                }
            }
        });
        throw_first_fault();
    }

    // Tells a stream how each row is drawn, before its model is called. prepare() as above.
    template <class Sequence, class Prepare>
    void expect(logits_stream& stream, std::span<const std::size_t> places, std::span<candidate> candidates,
                std::span<const Sequence> sequences, const Prepare& prepare) const {
        static_assert(!needs_floats, "unmask::sampler: guidance, logits policies and selectors that look at the "
                                     "divergence read whole rows, and the model only streams them");
        for (const Sequence& sequence : sequences) {
            const auto& draw = draw_of(sequence);
            static_assert(streaming_draw<std::remove_cvref_t<decltype(draw)>>,
                          "unmask::sampler: the model only streams its logits; the draw must be greedy or categorical");
            for (std::size_t i = sequence.first; i < sequence.last; ++i) {
                prepare(candidates[i], sequence);
                const candidate& one = candidates[i];
                const token_t held = page_.vocabulary().holds(one.held) ? one.held : -1;
                stream.expect(static_cast<index_t>(places[i]), draw, uniform_open(one.words[0], one.words[1]), held);
            }
        }
    }

private:
    static constexpr bool diverges = requires(const Policies& policies) { policies.selector.divergence_steps; };
    using memory_type = memory_of<typename Policies::logits_type>;
    static constexpr bool remembers = !std::is_same_v<memory_type, nothing_remembered>;
    static constexpr bool needs_floats = Policies::guided || Policies::changes_logits || diverges;

    struct worker_scratch {
        draw_scratch draw;
        std::vector<float> logits;
        std::vector<float> unconditional;
        std::optional<row_fault> fault;
    };

    // The draw of a sequence's current step: the policy, or the result of its at().
    template <class Sequence>
    decltype(auto) draw_of(const Sequence& sequence) const {
        if constexpr (requires { policies_.draw.at(sequence.plan.now); }) {
            return policies_.draw.at(sequence.plan.now);
        } else {
            return (policies_.draw);
        }
    }

    template <class Call, class Draw>
    void draw_row(Call& call, candidate& one, std::size_t i, [[maybe_unused]] const Draw& draw,
                  worker_scratch& scratch) {
        if constexpr (Call::streams) {
            if (std::string fault = call.fault(i); !fault.empty()) {
                note(scratch, {i, one.where, std::move(fault)});
                return;
            }
            const streamed_row row = call.streamed(i);
            finish(one, i, row.result, row.drawn_log_probability, row.held_log_probability, scratch);
        } else if constexpr (needs_floats && !std::is_same_v<typename Call::logit_type, float>) {
            draw_from(as_floats(call.logits(i), scratch.logits), call, one, i, draw, scratch);
        } else {
            draw_from(call.logits(i), call, one, i, draw, scratch);
        }
    }

    template <class Logit>
    static std::span<float> as_floats(std::span<Logit> from, std::vector<float>& to) {
        to.resize(from.size());
        std::transform(from.begin(), from.end(), to.begin(), [](Logit logit) { return static_cast<float>(logit); });
        return {to.data(), to.size()};
    }

    template <class Logit, class Call, class Draw>
    void draw_from(std::span<Logit> logits, Call& call, candidate& one, std::size_t i, const Draw& draw,
                   worker_scratch& scratch) {
        if constexpr (Policies::guided) {
            auto unconditional = call.unconditional(i);
            if constexpr (std::is_same_v<std::remove_const_t<typename decltype(unconditional)::value_type>, float>) {
                policies_.guidance(logits, unconditional);
            } else {
                policies_.guidance(logits, as_floats(unconditional, scratch.unconditional));
            }
        }
        if constexpr (remembers) {
            shape_logits(policies_.logits, page_, one.where, logits, memory_[place_of(one.where)]);
        } else if constexpr (Policies::changes_logits) {
            nothing_remembered none;
            shape_logits(policies_.logits, page_, one.where, logits, none);
        }
        if (const token_t mask = page_.vocabulary().mask; mask < page_.vocabulary().size) {
            logits[static_cast<std::size_t>(mask)] = Logit(-std::numeric_limits<float>::infinity());
        }
        const auto read = std::span<const Logit>(logits);
        const row_result result = reduce_row(draw, read, uniform_open(one.words[0], one.words[1]), scratch.draw);
        if (result.raw.best < 0) {
            note(scratch, {i, one.where, logits_fault(read)});
            return;
        }
        if constexpr (diverges) {
            one.divergence = history_[place_of(one.where)].next(read, result.raw, policies_.selector.divergence_steps);
        }
        const auto log_probability = [&](token_t token) {
            const auto logit = [&](token_t at) { return static_cast<float>(read[static_cast<std::size_t>(at)]); };
            return page_.vocabulary().holds(token)
                       ? log_probability_of(logit(token), logit(result.raw.best), result.raw.log_sum)
                       : -std::numeric_limits<double>::infinity();
        };
        finish(one, i, result, log_probability(result.draw.token), log_probability(one.held), scratch);
    }

    // Completes a candidate whose row has been read.
    void finish(candidate& one, std::size_t i, const row_result& result, double drawn, double held,
                worker_scratch& scratch) const {
        one.raw = result.raw;
        one.token = result.draw.token;
        one.shaped = result.draw.shaped;
        one.shaped_log_probability = result.draw.log_probability;
        one.raw_log_probability = drawn;
        one.held_log_probability = held;
        if (!page_.vocabulary().holds(one.token)) { // a user's draw
            note(scratch, {i,
                           one.where,
                           {},
                           "the drawn token",
                           "one of [0, size) other than the mask",
                           std::to_string(one.token)});
            return;
        }
        one.score = policies_.score(std::as_const(one));
        if (is_nan(one.score.value)) {
            note(scratch, {i, one.where, {}, "the score", "a number or an infinity", "NaN"});
        }
    }

    [[nodiscard]] std::size_t place_of(const row& where) const {
        return static_cast<std::size_t>(page_.offset(where.sequence) + where.position);
    }

    static void note(worker_scratch& scratch, row_fault&& found) {
        if (!scratch.fault || found.candidate < scratch.fault->candidate) {
            scratch.fault = std::move(found);
        }
    }

    void throw_first_fault() const {
        const row_fault* first = nullptr;
        for (const worker_scratch& each : scratch_) {
            if (each.fault && (first == nullptr || each.fault->candidate < first->candidate)) {
                first = &*each.fault;
            }
        }
        if (first != nullptr && !first->logits.empty()) {
            throw non_finite_logits(first->where, first->logits);
        }
        if (first != nullptr) {
            throw invalid_argument("sampler", first->what, first->was, first->expected);
        }
    }

    const Executor& exec_;
    const canvas& page_;
    const Policies& policies_;
    std::vector<worker_scratch> scratch_;
    std::vector<memory_type> memory_;  // of the logits policy, by position of the whole canvas
    std::vector<row_history> history_; // likewise, for selectors that read the divergence
};

} // namespace detail
UNMASK_NAMESPACE_END
