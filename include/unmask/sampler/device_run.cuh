// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <unmask/config.hpp>
#include <unmask/cuda/executor.cuh>
#include <unmask/cuda/row_end.cuh>
#include <unmask/cuda/row_statistics.cuh>
#include <unmask/cuda/row_stream.cuh>
#include <unmask/cuda/runtime.cuh>
#include <unmask/error.hpp>
#include <unmask/sampler/canvas.hpp>
#include <unmask/sampler/device_denoiser.cuh>
#include <unmask/sampler/device_divergence.cuh>
#include <unmask/sampler/device_gather.cuh>
#include <unmask/sampler/device_rank.cuh>
#include <unmask/sampler/device_select.cuh>
#include <unmask/sampler/device_selector.cuh>
#include <unmask/sampler/device_sequence.cuh>
#include <unmask/sampler/draw.hpp>
#include <unmask/sampler/non_finite_logits.hpp>
#include <unmask/sampler/policy_set.hpp>
#include <unmask/sampler/row_draw.hpp>
#include <unmask/sampler/row_work.hpp>
#include <unmask/sampler/schedule.hpp>
#include <unmask/tensor/row_result.hpp>
#include <unmask/tensor/row_sums.hpp>

// A run on the GPU, seen from the host: its memory, and the kernels of a step in their order. Nothing here waits for the
// device but fetch().

UNMASK_NAMESPACE_BEGIN
namespace detail::gpu {

// Arrays of all kinds in one piece of device memory: first each says how long it is, then each gets its place.
class device_layout {
public:
    template <class T>
    std::size_t add(index_t count) {
        const std::size_t place = bytes_;
        bytes_ += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
        return place;
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

private:
    std::size_t bytes_ = 0;
};

// What the host knows of a canvas before a run: each sequence's way, and the schedule's shares along it.
struct run_plan {
    std::vector<device_sequence> sequences;
    std::vector<double> shares;
    index_t most_rows = 0;      // that a step can need
    int most_in_a_sequence = 0; // the same, of one sequence

    template <class Schedule>
    run_plan(const canvas& page, const block_length& blocks, const Schedule& schedule) {
        for (index_t i = 0; i < page.sequences(); ++i) {
            add(page, i, blocks, schedule);
        }
    }

private:
    template <class Schedule>
    void add(const canvas& page, index_t sequence, const block_length& blocks, const Schedule& schedule) {
        device_sequence& one = sequences.emplace_back();
        const index_t length = page.length(sequence);
        const index_t start = page.generation_begin(sequence);
        const index_t size = std::min(blocks.size, length);
        one.offset = page.offset(sequence);
        one.length = static_cast<int>(length);
        one.id = page.id(sequence);
        one.block_size = static_cast<int>(size);
        one.begin = static_cast<int>(blocks.origin == block_origin::sequence && size > 0 ? start / size * size : start);
        one.end = one.begin;
        one.active = page.masked(sequence) > 0;
        if (!one.active) {
            return;
        }
        index_t with_masked = 0;
        index_t most = 0;
        const auto states = page.states(sequence);
        for (index_t begin = one.begin; begin < length; begin += size) {
            const index_t end = std::min(length, begin + size);
            const index_t masked = std::count(states.begin() + begin, states.begin() + end, position_state::masked);
            with_masked += masked > 0 ? 1 : 0;
            most = std::max(most, masked);
        }
        most_rows += most;
        most_in_a_sequence = std::max(most_in_a_sequence, static_cast<int>(most));
        const index_t count = is_per_block<Schedule>() ? schedule.count : schedule.count / with_masked;
        one.steps = static_cast<int>(std::max<index_t>(1, count));
        one.longer = is_per_block<Schedule>() || count == 0 ? 0 : static_cast<int>(schedule.count % with_masked);
        one.shares = shares_of_steps(one.steps, schedule);
        one.more_shares = one.longer > 0 ? shares_of_steps(one.steps + 1, schedule) : 0;
    }

    template <class Schedule>
    int shares_of_steps(int steps, const Schedule& schedule) {
        const auto known = std::find(steps_.begin(), steps_.end(), steps);
        if (known != steps_.end()) {
            return begins_[static_cast<std::size_t>(known - steps_.begin())];
        }
        steps_.push_back(steps);
        begins_.push_back(static_cast<int>(shares.size()));
        for (index_t step = 0; step <= steps; ++step) {
            shares.push_back(schedule.masked_share(step, steps));
        }
        return begins_.back();
    }

    std::vector<int> steps_; // numbers of steps whose shares are known
    std::vector<int> begins_;
};

template <class Model, class Policies>
class device_run {
public:
    using logit = device_logit_of<Model>;
    using selector_type = typename Policies::selector_type;
    using stop_type = std::remove_const_t<decltype(Policies::stop)>;

    device_run(const cuda_executor& exec, Model& model, const canvas& page, std::uint64_t seed,
               const Policies& policies)
        : model_(model), page_(page), policies_(policies), plan_(page, policies.blocks, policies.schedule),
          memory_(exec, lay_out()) {
        auto* const base = static_cast<std::byte*>(memory_.data());
        const auto at = [&](auto*& pointer, std::size_t place) {
            pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + place);
        };
        at(state_.tokens, places_.tokens);
        at(state_.states, places_.states);
        at(state_.listed, places_.listed);
        at(state_.commitments, places_.commitments);
        at(state_.sequences, places_.sequences);
        at(state_.rows, places_.rows);
        at(state_.uniforms, places_.uniforms);
        at(state_.candidates, places_.candidates);
        at(state_.order, places_.order);
        at(rank_keys_, places_.rank_keys);
        at(tile_order_, places_.tile_order);
        at(state_.shares, places_.shares);
        at(state_.counts, places_.counts);
        at(offsets_, places_.offsets);
        at(outcomes_, places_.outcomes);
        at(records_, places_.records);
        at(chosen_, places_.chosen);
        at(remembered_, places_.remembered);
        at(last_, places_.last);
        at(recent_, places_.recent);
        at(logits_, places_.logits);
        if constexpr (streams) {
            at(state_.streamed, places_.streamed);
        }
        state_.sequence_count = static_cast<int>(page.sequences());
        state_.most_rows = plan_.most_rows;
        state_.seed = seed;
        state_.end = page.vocabulary().end.value_or(-1);
        upload(exec);
    }

    // Enqueues one step. Does nothing to a canvas that is done.
    void enqueue_step(const cuda_executor& exec) const {
        const index_t rows = plan_.most_rows;
        const int sequences = state_.sequence_count;
        launch(&plan_kernel<schedule_type, selector_type>, sequences, step_threads, 0, exec.stream,
               plan_parameters<schedule_type, selector_type>{state_, policies_.schedule, policies_.selector});
        launch(&list_kernel<shifts_logits<std::remove_const_t<Model>>()>, sequences, step_threads, 0, exec.stream,
               state_);

        const device_canvas seen{state_.tokens, state_.states, offsets_, std::span<const index_t>(host_offsets_)};
        const device_rows asked{state_.rows, &state_.counts->rows, rows};
        const auto size = static_cast<int>(page_.vocabulary().size);
        if constexpr (streams) {
            model_.denoise(
                exec, seen, asked,
                device_logits_stream(state_.streamed, chosen_, state_.uniforms, size, page_.vocabulary().mask, rule_));
            end_streams(exec,
                        stream_end_parameters{state_.streamed, chosen_, &state_.counts->rows, size, rule_, outcomes_});
        } else {
            model_.denoise(exec, seen, asked, view(logits_, rows, size));
            read_rows(exec, row_call<logit>{{logits_, size, size, page_.vocabulary().mask},
                                            rows,
                                            &state_.counts->rows,
                                            rule_,
                                            state_.uniforms,
                                            outcomes_,
                                            nullptr,
                                            records_});
        }
        if constexpr (diverges) {
            static_assert(!streams,
                          "unmask::sampler: selectors that look at the divergence read whole rows, and the model "
                          "only streams them");
            launch(&divergence_kernel<logit>, static_cast<int>(rows), divergence_threads,
                   divergence_warps * sizeof(float), exec.stream,
                   divergence_parameters<logit>{state_,
                                                {logits_, size, size, page_.vocabulary().mask},
                                                outcomes_,
                                                remembered_,
                                                last_,
                                                recent_,
                                                static_cast<int>(policies_.selector.divergence_steps)});
        }
        const auto row_blocks = static_cast<int>((rows + step_threads - 1) / step_threads);
        launch(&score_kernel<score_type>, row_blocks, step_threads, 0, exec.stream,
               score_parameters<score_type>{state_, policies_.score, outcomes_});
        if constexpr (rankings > 0) {
            launch_ranking(exec, state_, policies_.selector, plan_.most_in_a_sequence, rank_keys_, tile_order_);
        }
        launch(&select_kernel<selector_type, stop_type>, sequences, step_threads, 0, exec.stream,
               select_parameters<selector_type, stop_type>{state_, policies_.selector, policies_.stop});
    }

    // In device memory, not 0 as long as a step still found something to do.
    [[nodiscard]] const int* running() const { return &state_.counts->rows; }

    // [most_rows, vocabulary.size], in device memory.
    [[nodiscard]] logit* logits() const { return logits_; }

    // What the device holds, once the stream has got there.
    struct results {
        std::vector<device_commitment> commitments;
        std::vector<device_sequence> sequences;
        device_counts counts;
    };
    [[nodiscard]] device_counts fetch_counts(const cuda_executor& exec) const {
        device_counts counts;
        copy_to_host(&counts, state_.counts, sizeof counts, exec.stream);
        synchronize(exec.stream);
        return counts;
    }
    [[nodiscard]] results fetch(const cuda_executor& exec) const {
        const auto positions = page_.tokens().size();
        results all{
            std::vector<device_commitment>(positions), std::vector<device_sequence>(plan_.sequences.size()), {}};
        const auto fetch_to = [&](auto& to, const auto* from) {
            copy_to_host(to.data(), from, to.size() * sizeof(to[0]), exec.stream);
        };
        fetch_to(all.commitments, state_.commitments);
        fetch_to(all.sequences, state_.sequences);
        all.counts = fetch_counts(exec);
        return all;
    }
    // Throws what is wrong with the n-th candidate, the first that something is wrong with.
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
        std::vector<logit> read(static_cast<std::size_t>(page_.vocabulary().size));
        copy_to_host(&found, state_.candidates + n, sizeof found, exec.stream);
        copy_to_host(read.data(), logits_ + n * std::ssize(read), read.size() * sizeof(logit), exec.stream);
        synchronize(exec.stream);
        if (const auto mask = static_cast<std::size_t>(page_.vocabulary().mask); mask < read.size()) {
            read[mask] = logit(minus_infinity);
        }
        throw non_finite_logits(found.where, logits_fault(std::span<const logit>(read)));
    }

private:
    using schedule_type = std::remove_const_t<decltype(Policies::schedule)>;
    using score_type = std::remove_const_t<decltype(Policies::score)>;
    static constexpr int rankings = rankings_of<selector_type>();
    static constexpr bool streams = only_streams_on_device<Model>;
    static constexpr bool diverges = requires(const Policies& policies) { policies.selector.divergence_steps; };

    struct {
        std::size_t tokens, states, offsets, listed, commitments, sequences, rows, uniforms, candidates, order,
            rank_keys, tile_order, shares, counts, outcomes, records, streamed, chosen, remembered, last, recent,
            logits;
    } places_{};

    std::size_t lay_out() {
        const index_t positions = std::ssize(page_.tokens());
        const index_t rows = plan_.most_rows;
        const logit_rows<logit> of_logits{nullptr, 0, page_.vocabulary().size, -1};
        const bool tiled = plan_.most_in_a_sequence > largest_rank_tile;
        device_layout layout;
        places_ = {.tokens = layout.add<token_t>(positions),
                   .states = layout.add<position_state>(positions),
                   .offsets = layout.add<index_t>(page_.sequences() + 1),
                   .listed = layout.add<unsigned char>(positions),
                   .commitments = layout.add<device_commitment>(positions),
                   .sequences = layout.add<device_sequence>(page_.sequences()),
                   .rows = layout.add<row>(rows),
                   .uniforms = layout.add<double>(rows),
                   .candidates = layout.add<candidate>(rows),
                   .order = layout.add<int>(rows * rankings),
                   .rank_keys = layout.add<std::uint64_t>(tiled ? rows * rankings : 0),
                   .tile_order = layout.add<int>(tiled ? rows * rankings : 0),
                   .shares = layout.add<double>(std::ssize(plan_.shares)),
                   .counts = layout.add<device_counts>(1),
                   .outcomes = layout.add<row_outcome>(rows),
                   .records = layout.add<chunk_record>(streams ? 0 : rows * of_logits.chunks()),
                   .streamed = layout.add<streamed_state>(streams ? rows : 0),
                   .chosen = layout.add<float>(
                       streams && rule_.reading != row_reading::statistics ? rows * index_t{chunk_size} : 0),
                   .remembered = layout.add<remembered_row>(diverges ? positions : 0),
                   .last = layout.add<float>(diverges ? positions * page_.vocabulary().size : 0),
                   .recent = layout.add<double>(positions * divergence_steps_of(policies_.selector)),
                   .logits = layout.add<logit>(streams ? 0 : rows * page_.vocabulary().size)};
        return layout.bytes();
    }

    void upload(const cuda_executor& exec) {
        std::vector<position_state> states;
        for (index_t i = 0; i < page_.sequences(); ++i) {
            const auto some = page_.states(i);
            states.insert(states.end(), some.begin(), some.end());
            host_offsets_.push_back(page_.offset(i));
        }
        host_offsets_.push_back(std::ssize(page_.tokens()));
        const std::vector<device_commitment> none(states.size());
        const std::vector<remembered_row> nothing(diverges ? states.size() : 0, {0, 0, -1});
        const device_counts counts;
        const auto give = [&](auto* to, const auto* from, std::size_t count) {
            if (count > 0) {
                copy_to_device(to, from, count * sizeof *from, exec.stream);
            }
        };
        give(state_.tokens, page_.tokens().data(), states.size());
        give(state_.states, states.data(), states.size());
        give(state_.commitments, none.data(), none.size());
        give(remembered_, nothing.data(), nothing.size());
        give(offsets_, host_offsets_.data(), host_offsets_.size());
        give(state_.sequences, plan_.sequences.data(), plan_.sequences.size());
        give(const_cast<double*>(state_.shares), plan_.shares.data(), plan_.shares.size());
        give(state_.counts, &counts, 1);
        synchronize(exec.stream); // the vectors go away
    }

    Model& model_;
    const canvas& page_;
    const Policies& policies_;
    row_rule rule_ = rule_of(policies_.draw);
    run_plan plan_;
    device_scratch memory_;
    device_state state_{};
    index_t* offsets_ = nullptr;
    std::uint64_t* rank_keys_ = nullptr;
    int* tile_order_ = nullptr;
    std::vector<index_t> host_offsets_;
    row_outcome* outcomes_ = nullptr;
    chunk_record* records_ = nullptr;
    float* chosen_ = nullptr;
    remembered_row* remembered_ = nullptr;
    float* last_ = nullptr;
    double* recent_ = nullptr;
    logit* logits_ = nullptr;

    [[nodiscard]] std::string fault_of(const streamed_state& row) const {
        const auto up_to = [](index_t first) { return std::to_string(first) + " … " + std::to_string(first + 1023); };
        return row.bad_from >= 0                    ? "NaN or +infinity among tokens " + up_to(row.bad_from)
               : row.read < page_.vocabulary().size ? "missing from token " + std::to_string(row.read) + " on"
                                                    : "-infinity for every token";
    }

    void end_streams(const cuda_executor& exec, const stream_end_parameters& parameters) const {
        const auto end = [&]<row_reading Reading>(std::integral_constant<row_reading, Reading>) {
            launch(&stream_end_kernel<Reading>, static_cast<int>(plan_.most_rows), row_threads,
                   2 * chunk_size * sizeof(float), exec.stream, parameters);
        };
        switch (rule_.reading) {
        case row_reading::statistics:
            return end(std::integral_constant<row_reading, row_reading::statistics>());
        case row_reading::draw:
            return end(std::integral_constant<row_reading, row_reading::draw>());
        case row_reading::tempered_draw:
            return end(std::integral_constant<row_reading, row_reading::tempered_draw>());
        }
    }

    static row_rule rule_of(const greedy& /*draw*/) { return {}; }
    static row_rule rule_of(const categorical& draw) { return row_rule::at_temperature(draw.temperature); }
};

} // namespace detail::gpu
UNMASK_NAMESPACE_END
