// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/read_rows.cuh>
#include <unmask/cuda/rows/row_end.cuh>
#include <unmask/cuda/runtime/calls.cuh>
#include <unmask/cuda/runtime/device_layout.cuh>
#include <unmask/cuda/runtime/mapped_memory.cuh>
#include <unmask/cuda/runtime/work_stream.cuh>
#include <unmask/error.hpp>
#include <unmask/executor/cuda_executor.cuh>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/row_statistics.hpp>
#include <unmask/numeric/token_filter.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/detail/device/divergence.cuh>
#include <unmask/sampler/detail/device/gather.cuh>
#include <unmask/sampler/detail/device/rank.cuh>
#include <unmask/sampler/detail/device/run_plan.cuh>
#include <unmask/sampler/detail/device/select.cuh>
#include <unmask/sampler/detail/device/sequence.cuh>
#include <unmask/sampler/detail/device/stop.cuh>
#include <unmask/sampler/detail/host/row_work.hpp>
#include <unmask/sampler/detail/policy_set.hpp>
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/sampler/device_logits_stream.cuh>
#include <unmask/sampler/draw/draw.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/schedule/schedule.hpp>

// A run on the GPU, seen from the host: its memory, and the kernels of a step in their order. Only the functions that
// fetch and those that begin a run wait for the device.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Model, class Policies>
class device_run {
public:
    using logit = device_logit_of<Model>;
    using selector_type = typename Policies::selector_type;

    // A run on a canvas. Sequences that are `done` are left out; if it is empty, none is. If the run is `watched`, the
    // host can read its trace while it goes on.
    device_run(const cuda_executor& exec, Model& model, const canvas& page, std::uint64_t seed,
               const Policies& policies, const std::vector<bool>& done = {}, bool watched = false)
        : model_(model), policies_(policies), tokens_(page.vocabulary()), ends_(ends_of(tokens_, policies.stop)),
          plan_(page, policies.blocks, policies.schedule, done), host_offsets_(offsets_of(page)), watched_(watched),
          trace_memory_(watched ? trace_arranged(device_layout()) : 0),
          memory_(work_on(exec), arranged(device_layout())) {
        (void)arranged(device_layout(memory_.data()));
        state_.sequence_count = static_cast<int>(page.sequences());
        state_.most_rows = plan_.most_rows;
        state_.end = tokens_.end.value_or(-1);
        upload(exec, page, seed);
    }

    // Begins again with another canvas. False, and nothing has changed, if that is not like the first: sequences of the
    // same lengths that don't need more rows in a step.
    bool restart(const cuda_executor& exec, const canvas& page, std::uint64_t seed, const std::vector<bool>& done) {
        if (offsets_of(page) != host_offsets_) {
            return false;
        }
        run_plan plan(page, policies_.blocks, policies_.schedule, done);
        if (!plan.fits_in(plan_)) {
            return false;
        }
        plan.shares.resize(plan_.shares.size());
        plan_.sequences = std::move(plan.sequences);
        plan_.shares = std::move(plan.shares);
        upload(exec, page, seed);
        return true;
    }

    // Enqueues what comes before the first step: the rows that it asks for.
    void enqueue_plan(const cuda_executor& exec) const {
        const int sequences = state_.sequence_count;
        launch(&plan_kernel<schedule_type, selector_type>, sequences, step_threads, 0, exec.stream,
               plan_parameters<schedule_type, selector_type>{state_, policies_.schedule, policies_.selector});
        launch(&list_kernel<shifts_logits<std::remove_const_t<Model>>(), logit>, sequences, step_threads, 0,
               exec.stream, list_parameters<logit>{state_, logits_, logit_stride(), size(), tokens_.mask});
    }

    // Enqueues a step, and the plan of the next one. Does nothing to a canvas that is done.
    void enqueue_step(const cuda_executor& exec) const {
        const index_t rows = plan_.most_rows;
        const device_canvas seen{state_.tokens, state_.states, offsets_, std::span<const index_t>(host_offsets_)};
        const device_rows asked{state_.rows, &state_.counts->rows, rows};
        const logit_rows<logit> logits{logits_, logit_stride(), size(), tokens_.mask};
        if constexpr (streams) {
            model_.denoise(
                exec, seen, asked,
                device_logits_stream(state_.streamed, chosen_, state_.uniforms, size(), tokens_.mask, rule_));
            end_streams(
                exec, stream_end_parameters{state_.streamed, chosen_, &state_.counts->rows, size(), rule_, outcomes_});
        } else {
            model_.denoise(exec, seen, asked, tensor_view<logit, 2>{logits_, {rows, size()}, {logit_stride(), 1}});
            read(exec, row_call<logit>{logits, rows, &state_.counts->rows, rule_, state_.uniforms, outcomes_, nullptr,
                                       records_, row_states_});
        }
        if constexpr (diverges) {
            static_assert(!streams,
                          "unmask::sampler: selectors that look at the divergence read whole rows, and the model "
                          "only streams them");
            launch(&divergence_kernel<logit>, static_cast<int>(rows), divergence_threads,
                   divergence_warps * sizeof(float), exec.stream,
                   divergence_parameters<logit>{state_, logits, outcomes_, remembered_, last_, recent_,
                                                static_cast<int>(policies_.selector.divergence_steps)});
        }
        const auto row_blocks = static_cast<int>((rows + step_threads - 1) / step_threads);
        launch(&score_kernel<score_type>, row_blocks, step_threads, 0, exec.stream,
               score_parameters<score_type>{state_, policies_.score, outcomes_});
        if constexpr (rankings > 0) {
            launch_ranking(exec, state_, policies_.selector, plan_.most_in_a_sequence, rank_keys_, tile_order_);
        }
        launch(&select_kernel<selector_type>, state_.sequence_count, step_threads, 0, exec.stream,
               select_parameters<selector_type>{state_, policies_.selector, ends_});
        enqueue_plan(exec);
    }

    // In device memory: not 0 while the next step has rows.
    [[nodiscard]] const int* running() const { return &state_.counts->rows; }

    // [most_rows, logit_stride()], in device memory.
    [[nodiscard]] logit* logits() const { return logits_; }
    // Rows begin where warps can load several logits at once, whatever the vocabulary's size.
    [[nodiscard]] index_t logit_stride() const { return (tokens_.size + 7) / 8 * index_t{8}; }

    // The trace of a watched run.
    [[nodiscard]] bool is_watched() const { return watched_; }
    [[nodiscard]] const device_trace& trace() const { return state_.trace; }
    // Asks a watched run to end after its current step.
    void stop() const { std::atomic_ref(*state_.trace.stop).store(1, std::memory_order_relaxed); }

    // Results, valid once the stream has reached this point. `commitments` and `fills` are empty if the run is watched.
    struct results {
        std::vector<device_commitment> commitments;
        std::vector<device_fill> fills;
        std::vector<device_sequence> sequences;
        device_counts counts;

        [[nodiscard]] device_trace trace() { return {commitments.data(), fills.data(), nullptr, nullptr}; }
    };
    [[nodiscard]] device_counts fetch_counts(const cuda_executor& exec) const {
        device_counts counts;
        copy_to_host(&counts, state_.counts, sizeof counts, exec.stream);
        synchronize(exec.stream);
        return counts;
    }
    [[nodiscard]] results fetch(const cuda_executor& exec) const {
        const std::size_t sequences = plan_.sequences.size();
        results all{std::vector<device_commitment>(watched_ ? 0 : static_cast<std::size_t>(host_offsets_.back())),
                    std::vector<device_fill>(watched_ ? 0 : sequences),
                    std::vector<device_sequence>(sequences),
                    {}};
        const auto fetch_to = [&](auto& to, const auto* from) {
            if (!to.empty()) {
                copy_to_host(to.data(), from, to.size() * sizeof(to[0]), exec.stream);
            }
        };
        fetch_to(all.commitments, state_.trace.commitments);
        fetch_to(all.fills, state_.trace.fills);
        fetch_to(all.sequences, state_.sequences);
        all.counts = fetch_counts(exec);
        return all;
    }
    // Throws the error of the n-th candidate, the first that has one.
    [[noreturn]] void throw_fault(const cuda_executor& exec, int n, bool is_score) const {
        if (is_score) {
            throw invalid_argument("sampler", "the score", "NaN", "a number or an infinity");
        }
        candidate found;
        if constexpr (streams) {
            streamed_state row;
            copy_to_host(&found, state_.candidates + n, sizeof found, exec.stream);
            copy_to_host(&row, state_.streamed + n, sizeof row, exec.stream);
            synchronize(exec.stream);
            throw non_finite_logits(found.where, fault_of(row));
        }
        std::vector<logit> read(static_cast<std::size_t>(tokens_.size));
        copy_to_host(&found, state_.candidates + n, sizeof found, exec.stream);
        copy_to_host(read.data(), logits_ + n * logit_stride(), read.size() * sizeof(logit), exec.stream);
        synchronize(exec.stream);
        if (const auto mask = static_cast<std::size_t>(tokens_.mask); mask < read.size()) {
            read[mask] = logit(minus_infinity);
        }
        throw non_finite_logits(found.where, logits_fault(std::span<const logit>(read)));
    }

private:
    using schedule_type = typename Policies::schedule_type;
    using score_type = typename Policies::score_type;
    static constexpr int rankings = selects_before_model<selector_type>() ? 0 : rankings_of<selector_type>;
    static constexpr bool streams = only_streams_on_device<Model>;
    static constexpr bool diverges = requires(const Policies& policies) { policies.selector.divergence_steps; };

    // Gives every array its place. Returns the bytes that they take.
    std::size_t arranged(device_layout place) {
        const index_t positions = host_offsets_.back();
        const index_t sequences = std::ssize(host_offsets_) - 1;
        const index_t rows = plan_.most_rows;
        const index_t rows_stored = streams ? 0 : rows;
        const index_t rows_streamed = streams ? rows : 0;
        const index_t rows_in_tiles = plan_.most_in_a_sequence > largest_rank_tile ? rows : 0;
        const index_t positions_remembered = diverges ? positions : 0;
        place(state_.tokens, positions);
        place(state_.states, positions);
        place(offsets_, sequences + 1);
        place(state_.listed, positions);
        if (watched_) {
            (void)trace_arranged(device_layout(trace_memory_.data()));
        } else {
            place(state_.trace.commitments, positions);
            place(state_.trace.fills, sequences);
        }
        place(state_.sequences, sequences);
        place(state_.counts, 1);
        place(shares_, std::ssize(plan_.shares));
        place(state_.rows, rows);
        place(state_.uniforms, rows);
        place(state_.candidates, rows);
        place(outcomes_, rows);
        place(state_.order, rows * rankings);
        place(rank_keys_, rows_in_tiles * rankings);
        place(tile_order_, rows_in_tiles * rankings);
        place(remembered_, positions_remembered);
        place(last_, positions_remembered * logit_stride());
        place(recent_, positions * divergence_steps_of(policies_.selector));
        place(streamed_, rows_streamed);
        place(chosen_, rule_.reading != row_reading::statistics ? rows_streamed * index_t{chunk_size} : 0);
        place(records_, rows_stored * logit_rows<logit>{nullptr, 0, size(), -1}.chunks());
        place(row_states_, filters() ? rows_stored : 0);
        place(floors_, filters() ? rows_stored : 0);
        place(logits_, rows_stored * logit_stride());
        state_.shares = shares_;
        state_.streamed = streams ? streamed_ : nullptr;
        return place.bytes();
    }

    // The same for memory that the host reads as well.
    std::size_t trace_arranged(device_layout place) {
        place(state_.trace.commitments, host_offsets_.back());
        place(state_.trace.fills, std::ssize(host_offsets_) - 1);
        place(state_.trace.calls, 1);
        place(state_.trace.stop, 1);
        return place.bytes();
    }

    static std::vector<index_t> offsets_of(const canvas& page) {
        std::vector<index_t> offsets;
        for (index_t i = 0; i < page.sequences(); ++i) {
            offsets.push_back(page.offset(i));
        }
        offsets.push_back(std::ssize(page.tokens()));
        return offsets;
    }

    void upload(const cuda_executor& exec, const canvas& page, std::uint64_t seed) {
        std::vector<position_state> states;
        for (index_t i = 0; i < page.sequences(); ++i) {
            const auto some = page.states(i);
            states.insert(states.end(), some.begin(), some.end());
        }
        for (device_sequence& each : plan_.sequences) {
            each.seed = seed;
        }
        const std::vector<device_commitment> none(watched_ ? 0 : states.size());
        const std::vector<device_fill> no_fills(watched_ ? 0 : plan_.sequences.size());
        if (watched_) {
            std::uninitialized_value_construct_n(state_.trace.commitments, states.size());
            std::uninitialized_value_construct_n(state_.trace.fills, plan_.sequences.size());
            *state_.trace.calls = 0;
            *state_.trace.stop = 0;
        }
        const std::vector<remembered_row> nothing(diverges ? states.size() : 0, {0, 0, -1});
        const device_counts counts;
        const auto give = [&](auto* to, const auto* from, std::size_t count) {
            if (count > 0) {
                copy_to_device(to, from, count * sizeof *from, exec.stream);
            }
        };
        give(state_.tokens, page.tokens().data(), states.size());
        give(state_.states, states.data(), states.size());
        give(state_.trace.commitments, none.data(), none.size());
        give(state_.trace.fills, no_fills.data(), no_fills.size());
        give(remembered_, nothing.data(), nothing.size());
        give(offsets_, host_offsets_.data(), host_offsets_.size());
        give(state_.sequences, plan_.sequences.data(), plan_.sequences.size());
        give(shares_, plan_.shares.data(), plan_.shares.size());
        give(state_.counts, &counts, 1);
        synchronize(exec.stream); // the vectors go away
    }

    [[nodiscard]] std::string fault_of(const streamed_state& row) const {
        const auto up_to = [](index_t first) { return std::to_string(first) + " … " + std::to_string(first + 1023); };
        return row.bad_from >= 0         ? "NaN or +infinity among tokens " + up_to(row.bad_from)
               : row.read < tokens_.size ? "missing from token " + std::to_string(row.read) + " on"
                                         : "-infinity for every token";
    }

    void end_streams(const cuda_executor& exec, const stream_end_parameters& parameters) const {
        with_reading(rule_.reading, [&](auto reading) {
            launch(&stream_end_kernel<decltype(reading)::value>, static_cast<int>(plan_.most_rows), row_threads,
                   2 * chunk_size * sizeof(float), exec.stream, parameters);
        });
    }

    [[nodiscard]] int size() const { return static_cast<int>(tokens_.size); }
    [[nodiscard]] bool filters() const { return !filter_.keeps_all(static_cast<std::size_t>(tokens_.size)); }

    void read(const cuda_executor& exec, const row_call<logit>& call) const {
        if constexpr (std::is_same_v<typename Policies::draw_type, categorical>) {
            if (filters()) {
                return read_filtered_rows(work_on(exec), call, filter_, floors_);
            }
        }
        read_rows(work_on(exec), call);
    }

    static row_rule rule_of(const greedy& /*draw*/) { return {}; }
    static row_rule rule_of(const categorical& draw) { return row_rule::at_temperature(draw.temperature); }
    static token_filter filter_of(const greedy& /*draw*/) { return {}; }
    static token_filter filter_of(const categorical& draw) { return draw.filter(); }

    Model& model_;
    const Policies& policies_;
    unmask::vocabulary tokens_;
    row_rule rule_ = rule_of(policies_.draw);
    token_filter filter_ = filter_of(policies_.draw);
    end_tokens ends_;
    run_plan plan_;
    std::vector<index_t> host_offsets_;
    device_state state_{};
    index_t* offsets_ = nullptr;
    double* shares_ = nullptr;
    streamed_state* streamed_ = nullptr;
    std::uint64_t* rank_keys_ = nullptr;
    int* tile_order_ = nullptr;
    row_outcome* outcomes_ = nullptr;
    chunk_record* records_ = nullptr;
    row_state* row_states_ = nullptr;
    token_floor* floors_ = nullptr;
    float* chosen_ = nullptr;
    remembered_row* remembered_ = nullptr;
    float* last_ = nullptr;
    double* recent_ = nullptr;
    logit* logits_ = nullptr;
    bool watched_;
    mapped_memory trace_memory_; // of the trace, if the run is watched
    device_scratch memory_;      // of all else
};

} // namespace detail::cuda
UNMASK_NAMESPACE_END
