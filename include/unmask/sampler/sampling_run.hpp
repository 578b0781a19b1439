// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cpu/executor.hpp>
#include <unmask/error.hpp>
#include <unmask/random/philox.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/denoiser.hpp>
#include <unmask/sampler/draw.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/row_statistics.hpp>
#include <unmask/sampler/selector.hpp>
#include <unmask/sampler/sequence_plan.hpp>
#include <unmask/sampler/statistics.hpp>
#include <unmask/tensor/tensor_view.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// The random numbers of one position at one step: words 0 and 1 for the token, words 2 and 3 for the order.
inline std::array<std::uint32_t, 4> random_words(std::uint64_t seed, std::uint64_t id, index_t position,
                                                 std::uint32_t visit) {
    const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
    const auto high = [](std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); };
    return philox{{low(seed), high(seed)}}({low(id), high(id), static_cast<std::uint32_t>(position), visit});
}

// What is wrong with a row that has no statistics.
inline std::string logits_fault(std::span<const float> logits) {
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (is_bad_logit(logits[i])) {
            const bool infinite = bits_as<std::uint32_t>(logits[i]) == 0x7f800000U;
            return (infinite ? "+infinity at token " : "NaN at token ") + std::to_string(i);
        }
    }
    return "-infinity for every token";
}

// One policy of each kind.
template <class Schedule, class Blocks, class Score, class Selector, class Draw, class Stop>
struct policy_set {
    Schedule schedule;
    Blocks blocks;
    Score score;
    Selector selector;
    Draw draw;
    Stop stop;
};

// One run of the sampler over a canvas. A step: gather the candidates of every unfinished sequence, call the model once,
// draw a token for each candidate, select, commit.
template <class Executor, class Model, class Policies, class Observer>
class sampling_run {
public:
    sampling_run(const Executor& exec, Model& model, canvas& page, std::uint64_t seed, const Policies& policies,
                 Observer& observer)
        : exec_(exec), model_(model), page_(page), seed_(seed), policies_(policies), observer_(observer),
          scratch_(static_cast<std::size_t>(exec.workers())) {}

    statistics operator()() {
        canvas before = page_;
        try {
            const auto begin = clock::now();
            run();
            statistics_.seconds_in_sampling = seconds_since(begin) - statistics_.seconds_in_model;
        } catch (...) {
            page_ = std::move(before);
            throw;
        }
        for (index_t sequence = 0; sequence < page_.sequences(); ++sequence) {
            const auto end = static_cast<std::size_t>(page_.text_end(sequence));
            for (std::size_t i = 0; i < end; ++i) {
                statistics_.useful += before.states(sequence)[i] == position_state::masked &&
                                              page_.states(sequence)[i] == position_state::committed
                                          ? 1
                                          : 0;
            }
        }
        return statistics_;
    }

private:
    using clock = std::chrono::steady_clock;
    static constexpr bool before_model = selects_before_model<std::remove_cvref_t<decltype(Policies::selector)>>();
    static constexpr bool observed = !std::same_as<std::remove_const_t<Observer>, no_observer>;

    static double seconds_since(clock::time_point begin) {
        return std::chrono::duration<double>(clock::now() - begin).count();
    }

    // A sequence that is not done, and where its candidates are.
    struct active_sequence {
        sequence_plan plan;
        std::size_t first = 0;
        std::size_t last = 0;
    };

    void run() {
        std::vector<active_sequence> active;
        for (index_t sequence = 0; sequence < page_.sequences(); ++sequence) {
            if (page_.masked(sequence) > 0 && !stop(sequence)) {
                active.push_back({sequence_plan(page_, sequence, policies_.blocks.size, policies_.schedule.count)});
            }
        }
        for (bool go_on = true; go_on;) {
            candidates_.clear();
            std::erase_if(active, [&](active_sequence& one) { return !gather(one); });
            if (active.empty()) {
                return;
            }
            call_model();
            draw();
            commitments_.clear();
            for (active_sequence& one : active) {
                commit(one);
            }
            std::erase_if(active, [&](const active_sequence& one) { return stop(one.plan.sequence()); });
            if constexpr (observed) {
                go_on = observe();
                statistics_.stopped_early = !go_on;
            }
        }
    }

    // Appends the candidates of a sequence's next step that has any; false if all is filled.
    bool gather(active_sequence& one) {
        while (one.plan.update(page_)) {
            one.first = candidates_.size();
            if (const step_share share = share_of(one.plan); before_model || share.quota > 0) {
                append_masked(one.plan);
                if constexpr (before_model) {
                    const auto mine = std::span(candidates_).subspan(one.first);
                    policies_.selector(mine, share);
                    const auto kept = std::partition(mine.begin(), mine.end(), [](auto& it) { return it.chosen; });
                    candidates_.resize(one.first + static_cast<std::size_t>(kept - mine.begin()));
                    sort_by_position(std::span(candidates_).subspan(one.first));
                }
            }
            one.last = candidates_.size();
            if (one.last > one.first) {
                return true;
            }
            one.plan.advance();
        }
        return false;
    }

    step_share share_of(const sequence_plan& plan) const {
        return {.quota = quota_of(policies_.schedule, plan.now()),
                .probability = commit_probability(policies_.schedule, plan.now())};
    }

    void append_masked(const sequence_plan& plan) {
        const index_t sequence = plan.sequence();
        const auto states = page_.states(sequence);
        for (index_t position = plan.begin(); position < plan.end(); ++position) {
            if (states[static_cast<std::size_t>(position)] == position_state::masked) {
                candidate& added = candidates_.emplace_back();
                added.where = {sequence, position};
                added.words = random_words(seed_, page_.id(sequence), position, plan.visit());
                added.random = uniform_open(added.words[2], added.words[3]);
            }
        }
    }

    void call_model() {
        const auto size = static_cast<std::size_t>(page_.vocabulary().size);
        rows_.clear();
        for (const candidate& one : candidates_) {
            row asked = one.where;
            if constexpr (shifts_logits<std::remove_const_t<Model>>()) {
                asked.position = std::max<index_t>(asked.position - 1, 0);
            }
            rows_.push_back(asked);
        }
        logits_.resize(std::max(logits_.size(), rows_.size() * size));
        // A row that the model forgets is then reported, and not drawn from what the last step left there.
        const std::size_t mark = page_.vocabulary().mask == 0 && size > 1 ? 1 : 0;
        for (std::size_t i = 0; i < rows_.size(); ++i) {
            logits_[i * size + mark] = std::numeric_limits<float>::quiet_NaN();
        }
        const auto begin = clock::now();
        model_.denoise(std::as_const(page_), std::span<const row>(rows_),
                       view(logits_.data(), rows_.size(), page_.vocabulary().size));
        statistics_.seconds_in_model += seconds_since(begin);
        ++statistics_.calls;
        statistics_.rows += std::ssize(rows_);
    }

    // Draws a token for every candidate and scores it. Which worker does a row changes nothing.
    void draw() {
        constexpr index_t logits_per_task = 1 << 15;
        const index_t count = std::ssize(candidates_);
        const index_t grain = std::max<index_t>(1, logits_per_task / page_.vocabulary().size);
        exec_.parallel_for((count + grain - 1) / grain, [&](index_t task, int worker) {
            for (index_t i = task * grain; i < std::min(count, (task + 1) * grain); ++i) {
                draw_row(static_cast<std::size_t>(i), scratch_[static_cast<std::size_t>(worker)]);
            }
        });
        for (std::size_t i = 0; i < candidates_.size(); ++i) { // the first one in order, not in time
            check(candidates_[i], logits_of(i));
        }
    }

    std::span<float> logits_of(std::size_t i) {
        const auto size = static_cast<std::size_t>(page_.vocabulary().size);
        return std::span(logits_).subspan(i * size, size);
    }

    void draw_row(std::size_t i, draw_scratch& scratch) {
        candidate& one = candidates_[i];
        const std::span<float> logits = logits_of(i);
        if (const token_t mask = page_.vocabulary().mask; mask < page_.vocabulary().size) {
            logits[static_cast<std::size_t>(mask)] = -std::numeric_limits<float>::infinity();
        }
        one.raw = statistics_of(logits);
        if (one.raw.best < 0) {
            return;
        }
        const double uniform = uniform_open(one.words[0], one.words[1]);
        const drawn result = policies_.draw(std::span<const float>(logits), one.raw, uniform, scratch);
        one.token = result.token;
        one.shaped = result.shaped;
        one.shaped_log_probability = result.log_probability;
        if (page_.vocabulary().holds(one.token)) {
            const double best = logits[static_cast<std::size_t>(one.raw.best)];
            one.raw_log_probability = logits[static_cast<std::size_t>(one.token)] - best - one.raw.log_sum;
        }
        one.score = policies_.score(std::as_const(one));
    }

    void check(const candidate& one, std::span<const float> logits) const {
        if (one.raw.best < 0) {
            throw non_finite_logits(one.where, logits_fault(logits));
        }
        if (!page_.vocabulary().holds(one.token)) { // a user's draw
            throw invalid_argument("sampler", "the drawn token", std::to_string(one.token),
                                   "one of [0, size) other than the mask");
        }
        if (is_nan(one.score.value)) {
            throw invalid_argument("sampler", "the score", "NaN", "a number or an infinity");
        }
    }

    // From the bits: -ffast-math folds std::isnan away.
    static bool is_nan(double value) { return (bits_as<std::uint64_t>(value) << 1) > 0xffe0000000000000U; }

    void commit(active_sequence& one) {
        const auto mine = std::span(candidates_).subspan(one.first, one.last - one.first);
        if constexpr (!before_model) {
            policies_.selector(mine, share_of(one.plan));
            if (std::none_of(mine.begin(), mine.end(), [](const candidate& it) { return it.chosen; })) {
                std::min_element(mine.begin(), mine.end(), committed_first{})->chosen = true;
            }
        }
        const std::size_t first = commitments_.size();
        for (const candidate& it : mine) {
            if (it.chosen) {
                page_.commit(it.where.sequence, it.where.position, it.token);
                ++statistics_.committed;
                if constexpr (observed) {
                    commitments_.push_back({it.where, it.token, it.score, it.raw_log_probability});
                }
            }
        }
        sort_by_position(std::span(commitments_).subspan(first));
        ++statistics_.nfe.denoise;
        one.plan.advance();
    }

    template <class T>
    static void sort_by_position(std::span<T> all) {
        std::sort(all.begin(), all.end(), [](const T& a, const T& b) { return a.where.position < b.where.position; });
    }

    bool observe() {
        const sampler_step step{statistics_.calls - 1, page_, commitments_, page_.masked()};
        if constexpr (std::is_void_v<decltype(observer_(step))>) {
            observer_(step);
            return true;
        } else {
            return static_cast<bool>(observer_(step));
        }
    }

    // True if the sequence is done; what is left of it is then filled.
    bool stop(index_t sequence) {
        const auto keep = policies_.stop(std::as_const(page_), sequence);
        if (keep && page_.vocabulary().end) {
            statistics_.filled += page_.masked(sequence);
            page_.end_text(sequence, *keep);
        }
        return keep.has_value();
    }

    const Executor& exec_;
    Model& model_;
    canvas& page_;
    std::uint64_t seed_;
    const Policies& policies_;
    Observer& observer_;
    statistics statistics_;
    std::vector<candidate> candidates_;
    std::vector<row> rows_;
    std::vector<float> logits_;
    std::vector<commitment> commitments_;
    std::vector<draw_scratch> scratch_;
};

} // namespace detail
UNMASK_NAMESPACE_END
