// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/sampler/candidate.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/corruption/corruption.hpp>
#include <unmask/sampler/detail/host/active_sequence.hpp>
#include <unmask/sampler/detail/host/candidate_list.hpp>
#include <unmask/sampler/detail/host/candidates.hpp>
#include <unmask/sampler/detail/host/model_call.hpp>
#include <unmask/sampler/detail/host/row_work.hpp>
#include <unmask/sampler/detail/policy_set.hpp>
#include <unmask/sampler/detail/step/canvas_changes.hpp>
#include <unmask/sampler/detail/step/choose.hpp>
#include <unmask/sampler/detail/step/random_words.hpp>
#include <unmask/sampler/detail/step/sequence_plan.hpp>
#include <unmask/sampler/detail/step/whole_run.hpp>
#include <unmask/sampler/observer.hpp>
#include <unmask/sampler/selector/selector.hpp>
#include <unmask/sampler/statistics.hpp>

UNMASK_NAMESPACE_BEGIN
namespace detail {

// One run of the sampler over a canvas. A step: gather the candidates of every unfinished sequence, call the model
// once, draw a token for each candidate, select, change the canvas.
template <class Executor, class Model, class Policies, class Observer>
class sampling_run {
public:
    sampling_run(const Executor& exec, Model& model, canvas& page, std::uint64_t seed, const Policies& policies,
                 Observer& observer)
        : page_(page), seed_(seed), policies_(policies), observer_(observer), changes_(page, statistics_),
          call_(model, statistics_), rows_(exec, page, policies) {}

    statistics operator()() {
        run_or_restore(page_, statistics_, [this] { run(); });
        return statistics_;
    }

private:
    using corruption_type = typename Policies::corruption_type;
    using sequence_type = active_sequence<corruption_type>;
    static constexpr bool selector_first = selects_before_model<typename Policies::selector_type>();
    static constexpr bool corruption_first = decides_before_model<corruption_type>;
    static constexpr bool decided_first = selector_first || corruption_first;
    static constexpr bool selects = !selector_first && !takes_selectors_place<corruption_type>();
    static constexpr bool asks_committed = reads_committed<corruption_type>() || verifies<corruption_type>();
    static constexpr bool observed = !std::same_as<std::remove_const_t<Observer>, no_observer>;

    void run() {
        std::vector<sequence_type> active = start();
        for (bool go_on = true; go_on;) {
            candidates_.clear();
            std::erase_if(active, [&](sequence_type& one) { return !gather(one); });
            if (active.empty()) {
                return;
            }
            asked_.clear();
            for (const sequence_type& one : active) {
                asked_.push_back({one.block(), one.first, one.last, one.calls});
            }
            call_model({active.data(), active.size()});
            for (sequence_type& one : active) {
                change_canvas(one);
            }
            std::erase_if(active, [&](const sequence_type& one) {
                return may_stop(one) && stop_sequence(policies_.stop, page_, one.sequence, changes_);
            });
            if constexpr (observed) {
                go_on = observe();
                statistics_.stopped_early = !go_on;
            }
        }
    }

    // Calls the model for all candidates, and draws their tokens.
    void call_model(std::span<const sequence_type> active) {
        const auto prepare = [this](candidate& one, const sequence_type& sequence) {
            if (!decided_first) {
                give_random_numbers(one, sequence);
            }
        };
        call_(changes_.pages(), page_.sequences(), candidates_.all(), {asked_.data(), asked_.size()}, policies_.cache,
              [&](auto& stream, std::span<const std::size_t> places) {
                  rows_.expect(stream, places, candidates_.all(), active, prepare);
              });
        rows_.draw(call_, candidates_.all(), active, prepare);
    }

    std::vector<sequence_type> start() {
        std::vector<sequence_type> active;
        for (index_t sequence = 0; sequence < page_.sequences(); ++sequence) {
            if (is_done_at_once(policies_.stop, page_, sequence, changes_)) {
                continue;
            }
            sequence_type& one = active.emplace_back(page_, sequence, policies_.blocks, policies_.schedule);
            if constexpr (block_denoiser<Model>) {
                one.kept = one.plan.begin;
                call_.keep({sequence, 0, one.kept}, page_.sequences(), [&](Model& model, const position_range& range) {
                    model.prefill(changes_.pages().read(), range);
                    ++statistics_.nfe.prefill;
                });
            }
            if constexpr (is_uniform<corruption_type>()) {
                changes_.add_noise(sequence, seed_);
            }
        }
        return active;
    }

    // Appends the candidates of a sequence's next step that has any; false if all is filled.
    bool gather(sequence_type& one) {
        while (update(one)) {
            one.first = candidates_.size();
            if constexpr (decided_first) {
                decide_first(one);
            } else if (takes_selectors_place<corruption_type>() || one.plan.now.masked == 0 ||
                       share_of(one).quota > 0) {
                append(one, candidates_, asks_committed); // without random numbers, which are drawn row by row
            }
            one.last = candidates_.size();
            if (one.last > one.first) {
                return true;
            }
            one.plan.advance();
        }
        return false;
    }

    // Moves on to the next block if this one is done.
    bool update(sequence_type& one) {
        const index_t block = one.plan.block;
        const auto masked_of = [&](index_t begin, index_t end) { return masked_in(page_, one.sequence, begin, end); };
        if (!one.plan.update(masked_of, block > 0 && goes_on(one))) {
            return false;
        }
        if (one.plan.block != block) {
            const schedule_step& now = one.plan.now;
            constexpr index_t most = std::numeric_limits<index_t>::max();
            const index_t extra = policies_.corruption.extra_calls(now);
            one.begin_block(now.total + std::clamp<index_t>(extra, 0, most - now.total));
            if constexpr (block_denoiser<Model>) {
                keep_blocks(one);
            }
        }
        return true;
    }

    // All blocks before the current one are final.
    void keep_blocks(sequence_type& one) {
        for (; one.kept < one.plan.begin; one.kept += policies_.blocks.size) {
            call_.keep(position_range{one.sequence, one.kept, one.kept + policies_.blocks.size}, page_.sequences(),
                       [&](Model& model, const position_range& range) {
                           model.commit(changes_.pages().read(), range);
                           ++statistics_.nfe.commit;
                       });
        }
    }

    step_share share_of(const sequence_type& one) const { return detail::share_of(policies_.schedule, one.plan.now); }

    // Appends the masked positions of the block, and the committed ones if wanted.
    void append(const sequence_type& one, candidate_list& to, bool committed) {
        const auto states = page_.states(one.sequence);
        const auto tokens = page_.tokens(one.sequence);
        for (index_t position = one.plan.begin; position < one.plan.end; ++position) {
            const auto at = static_cast<std::size_t>(position);
            if (states[at] == position_state::masked || (committed && states[at] == position_state::committed)) {
                to.add(row{one.sequence, position}, states[at], tokens[at]);
            }
        }
    }

    void give_random_numbers(candidate& one, const sequence_type& sequence) const {
        one.words = random_words(seed_, page_.id(one.where.sequence), one.where.position, sequence.plan.visit);
        one.random = uniform_open(one.words[2], one.words[3]);
    }

    // What is committed or remasked is decided before the model is called: only rows to be committed are candidates.
    void decide_first(sequence_type& one) {
        positions_.clear();
        append(one, positions_, corruption_first);
        const std::span<candidate> positions = positions_.all();
        for (candidate& position : positions) {
            give_random_numbers(position, one);
        }
        if constexpr (corruption_first) {
            policies_.corruption.before(positions, one.step(policies_.schedule, page_), one.memory);
        } else {
            with_view(policies_.selector, positions, [&](const auto& all) {
                choose_before_model(policies_.selector, all, share_of(one), !one.plan.has_later_step());
            });
        }
        one.to_remask.clear();
        for (candidate& position : positions) {
            if (position.state == position_state::masked && position.chosen) {
                add(position);
            } else if (position.state == position_state::committed && position.change == change::remask) {
                one.to_remask.push_back(position.where);
            }
        }
        if (candidates_.size() > one.first) {
            return;
        }
        if (!one.plan.has_later_step()) { // the last step repeats: a corruption must commit something, too
            const auto masked = std::find_if(positions.begin(), positions.end(), [](const candidate& position) {
                return position.state == position_state::masked;
            });
            add(*masked);
        } else if (one.plan.now.masked + std::ssize(one.to_remask) <= one.allowed - one.calls) {
            remask(one); // a step without a call
        }
    }

    // A position that will be committed.
    void add(const candidate& position) {
        candidate& added = candidates_.add(position.where, position.state, position.held);
        added.chosen = true;
        added.words = position.words;
        added.random = position.random;
    }

    void change_canvas(sequence_type& one) {
        const auto mine = candidates_.all().subspan(one.first, one.last - one.first);
        if constexpr (selects) {
            select(mine, share_of(one));
        }
        ++one.calls;
        if constexpr (std::same_as<corruption_type, absorbing>) {
            for (candidate& position : mine) {
                if (position.chosen) {
                    position.change = change::commit;
                    changes_.apply(position);
                }
            }
        } else {
            corrupt(one, mine);
        }
        one.plan.advance();
    }

    // What the corruption makes of the step, as far as the bound on calls allows it.
    void corrupt(sequence_type& one, std::span<candidate> mine) {
        if constexpr (decides_after_model<corruption_type>) {
            policies_.corruption(mine, one.step(policies_.schedule, page_), one.memory);
        }
        index_t commits = 0;
        index_t remasks = std::ssize(one.to_remask);
        for (candidate& position : mine) {
            if (position.change == change::none && position.chosen) {
                position.change = change::commit;
            }
            commits += position.change == change::commit ? 1 : 0;
            remasks += position.change == change::remask ? 1 : 0;
        }
        keep_bound(one, mine, commits, remasks);

        bool changed = !one.to_remask.empty();
        remask(one);
        for (const candidate& position : mine) {
            changed = changed || position.change != change::none;
            changes_.apply(position);
        }
        statistics_.wasted += changed ? 0 : 1;
    }

    void select(std::span<candidate> mine, const step_share& share) {
        auto masked = mine;
        if constexpr (asks_committed) {
            const auto end = std::stable_partition(
                mine.begin(), mine.end(), [](const candidate& it) { return it.state == position_state::masked; });
            masked = mine.first(static_cast<std::size_t>(end - mine.begin()));
        }
        with_view(policies_.selector, masked,
                  [&](const auto& all) { choose_after_model(policies_.selector, all, share); });
        if constexpr (asks_committed) {
            sort_by_position(mine);
        }
    }

    // Sees to it that what is left can be filled in the calls that are left. It holds before the first call, and each
    // call that remasks nothing and commits one keeps it.
    void keep_bound(sequence_type& one, std::span<candidate> mine, index_t commits, index_t remasks) {
        const index_t masked = one.plan.now.masked;
        const index_t left = one.allowed - one.calls;
        if (masked - commits + remasks <= left) {
            return;
        }
        one.to_remask.clear();
        for (candidate& position : mine) {
            position.change = position.change == change::remask ? change::none : position.change;
        }
        if (masked - commits > left) {
            candidate* best = nullptr;
            for (candidate& position : mine) {
                if (position.state == position_state::masked &&
                    (best == nullptr || committed_first{}(position, *best))) {
                    best = &position;
                }
            }
            best->change = change::commit;
        }
    }

    void remask(sequence_type& one) {
        for (const row& where : one.to_remask) {
            changes_.remask(where);
        }
        one.to_remask.clear();
    }

    bool observe() {
        const sampler_step step{statistics_.calls - 1, page_, changes_.reported(), page_.masked()};
        const bool go_on = tell(observer_, step);
        changes_.forget();
        return go_on;
    }

    // What may still be remasked or edited ends nothing.
    bool may_stop(const sequence_type& one) const {
        if constexpr (std::same_as<corruption_type, absorbing>) {
            return true;
        } else {
            return masked_in(page_, one.sequence, one.plan.begin, one.plan.end) == 0 && !goes_on(one);
        }
    }

    // Whether the block has another step if nothing of it is masked.
    bool goes_on(const sequence_type& one) const {
        const corruption_step step = one.step(policies_.schedule, page_);
        const bool may_commit = one.plan.has_later_step() || !decided_first;
        if constexpr (requires { policies_.corruption.goes_on(step, one.memory); }) {
            return may_commit && one.calls < one.allowed && policies_.corruption.goes_on(step, one.memory);
        } else {
            return false;
        }
    }

    canvas& page_;
    std::uint64_t seed_;
    const Policies& policies_;
    Observer& observer_;
    statistics statistics_;
    canvas_changes<Policies::guided, observed> changes_;
    model_call<Model, typename Policies::cache_type, verifies<corruption_type>(), Policies::guided> call_;
    row_work<Executor, Policies> rows_;
    candidate_list candidates_;
    candidate_list positions_; // of one sequence, before it is known which are candidates
    std::vector<asked_sequence> asked_;
};

} // namespace detail
UNMASK_NAMESPACE_END
