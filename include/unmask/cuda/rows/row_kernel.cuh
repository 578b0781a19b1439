// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>

#include <unmask/config.hpp>
#include <unmask/cuda/rows/row_chunk_kernel.cuh>
#include <unmask/cuda/rows/row_end.cuh>
#include <unmask/cuda/rows/warp_chunk.cuh>
#include <unmask/cuda/runtime/device.cuh>
#include <unmask/numeric/detail/base_2.hpp>
#include <unmask/numeric/detail/row_sums.hpp>
#include <unmask/numeric/exact_math.hpp>
#include <unmask/numeric/row_statistics.hpp>

// Rows, from the chunks that chunk_kernel has read: statistics and draws, bit for bit those of the CPU. Each row has a
// block, which joins as many chunks at a time as it has threads. A chunk leads if its highest logit is above those of
// all chunks before it. Chunks must be joined one after another, which is fast for three reasons: the highest logits
// alone tell which chunks lead; all threads compute the factors of the chunks in parallel; and the few chunks that lead
// are read again by a warp each, without their most likely token.

UNMASK_NAMESPACE_BEGIN
namespace detail::cuda {

template <class Logit>
struct row_parameters {
    logit_rows<Logit> logits;
    const int* count; // number of rows; one for each block if null
    const chunk_record* records;
    row_rule rule;
    const double* uniforms;     // in (0, 1), one per row; unused if the most likely token is taken
    row_outcome* outcomes;      // all results of a row, or, if this is null,
    row_statistics* statistics; // only the statistics at temperature 1, or, if both are null,
    row_state* states;          // the state that a filter needs; read if logits has a filter
};

// A chunk that is ready to be joined to the chunks before it.
struct prepared_chunk {
    part_step step;
    chunk_sums sums; // without its most likely token if it leads
    float highest;   // NaN if it is bad
    bool leads;
    float second; // set only if it leads, like `best`
    int best;
};

struct row_memory {
    union {
        prepared_chunk chunks[row_threads];
        float tree[2 * chunk_size]; // sums of the chosen chunk's weights
    };
    float warp_highest[row_warps];
    row_state row; // of the chunks joined so far
};

template <row_reading Reading, class Logit>
class row_reader {
public:
    UNMASK_DEVICE row_reader(const row_parameters<Logit>& p, index_t row)
        : p_(p), row_(row), memory_(*reinterpret_cast<row_memory*>(device::shared_memory())) {}

    UNMASK_DEVICE void operator()() const {
        if (device::thread() == 0) {
            memory_.row = {};
            memory_.row.choice.uniform = drawn ? p_.uniforms[row_] : 0;
        }
        device::barrier();
        const int chunks = p_.logits.chunks();
        for (int begin = 0; begin < chunks; begin += row_threads) {
            const int count = chunks - begin < row_threads ? chunks - begin : row_threads;
            prepare(begin, count);
            device::barrier();
            read_leaders(begin, count);
            device::barrier();
            if (device::thread() == 0) {
                join(begin, count);
            }
            device::barrier();
        }
        const auto logit = [this](int token) { return logit_of(token); };
        if constexpr (drawn) {
            if (p_.outcomes != nullptr && !memory_.row.bad && memory_.row.part.best >= 0) {
                grow_tree(memory_.tree, memory_.row.choice, p_.rule.rule, logit);
            }
        }
        if (device::thread() == 0) {
            const row_state row = copy_of(memory_.row);
            if (p_.statistics != nullptr) {
                p_.statistics[row_] = raw_statistics(row);
            } else if (p_.outcomes == nullptr) {
                p_.states[row_] = row;
            } else {
                row_outcome outcome = outcome_of<Reading>(row, p_.rule, memory_.tree, logit);
                if (p_.logits.floors != nullptr) {
                    outcome.take_raw(p_.states[row_], logit(outcome.result.draw.token));
                }
                p_.outcomes[row_] = outcome;
            }
        }
    }

private:
    static constexpr bool tempered = Reading == row_reading::tempered_draw;
    static constexpr bool drawn = Reading != row_reading::statistics;

    // Finds whether a chunk leads, and the factor of the chunk or of the row before it. One thread per chunk.
    UNMASK_DEVICE void prepare(int begin, int count) const {
        const int mine = device::thread();
        chunk_record record{minus_infinity, 0, 0, 0, 0};
        if (mine < count) {
            record = p_.records[row_ * p_.logits.chunks() + begin + mine];
        }
        const float before = highest_before(record.highest);
        const bool leads = record.highest > before; // false if one of them is NaN or both are −∞
        prepared_chunk& chunk = memory_.chunks[mine];
        chunk.sums = record.sums(p_.rule.rule);
        chunk.highest = record.highest;
        chunk.leads = leads;
        chunk.step = part_step::between<tempered>(leads ? before : record.highest, leads ? record.highest : before,
                                                  p_.rule.rule.scale);
    }

    // The highest logit of all chunks before the thread's chunk. Collective.
    UNMASK_DEVICE float highest_before(float mine) const {
        float up_to_here = mine;
        UNMASK_UNROLL
        for (int distance = 1; distance < device::warp_size; distance *= 2) {
            const int from = device::lane() - distance;
            const float other = device::shuffle(up_to_here, static_cast<std::uint32_t>(from));
            up_to_here = from < 0 ? up_to_here : device::largest(up_to_here, other);
        }
        if (device::lane() == device::warp_size - 1) {
            memory_.warp_highest[device::warp()] = up_to_here;
        }
        const float previous = device::shuffle(up_to_here, static_cast<std::uint32_t>(device::lane() - 1));
        float before = device::lane() == 0 ? minus_infinity : previous;
        before = device::largest(before, memory_.row.part.highest);
        device::barrier();
        for (int warp = 0; warp < device::warp(); ++warp) {
            before = device::largest(before, memory_.warp_highest[warp]);
        }
        return before;
    }

    // Reads the chunks that lead again, with a warp for each.
    UNMASK_DEVICE void read_leaders(int begin, int count) const {
        const warp_weights weights;
        int leaders = 0;
        UNMASK_NO_UNROLL
        for (int i = 0; i < count; ++i) {
            prepared_chunk& chunk = memory_.chunks[i];
            if (!chunk.leads || leaders++ % row_warps != device::warp()) {
                continue;
            }
            const int first = (begin + i) * static_cast<int>(chunk_size);
            warp_chunk tokens;
            tokens.load(p_.logits, row_, first);
            const int best = tokens.first_with(chunk.highest);
            tokens.remove(best);
            const float second = tokens.highest();
            const chunk_sums others = tokens.sums<tempered>(chunk.highest, weights, p_.rule.rule);
            if (device::lane() == 0) {
                chunk.best = first + best;
                chunk.second = second;
                chunk.sums = others;
                chunk.sums.shaped.moment = p_.rule.rule.in_logits(others.shaped.moment);
            }
        }
    }

    // Joins the chunks to the row. Called by one thread.
    UNMASK_DEVICE void join(int begin, int count) const {
        row_state row = copy_of(memory_.row);
        UNMASK_NO_UNROLL
        for (int i = 0; i < count; ++i) {
            const prepared_chunk& chunk = memory_.chunks[i];
            const auto first = static_cast<std::size_t>(begin + i) * chunk_size;
            if (is_bad_logit(chunk.highest)) {
                row.bad = true;
            } else if (chunk.leads) {
                row.template add_leader<Reading>(
                    first, {chunk.highest, chunk.second, chunk.best, chunk.sums.raw, chunk.sums.shaped}, chunk.step);
            } else if (chunk.highest > minus_infinity) {
                row.template add<Reading>(first, chunk.highest, chunk.sums, chunk.step);
            }
        }
        memory_.row = row;
    }

    UNMASK_DEVICE float logit_of(int token) const {
        if (token < 0 || token >= p_.logits.size || token == p_.logits.suppressed) {
            return minus_infinity;
        }
        const auto logit = static_cast<float>(p_.logits.row(row_)[token]);
        return p_.logits.floors == nullptr || p_.logits.floors[row_].keeps(logit, token) ? logit : minus_infinity;
    }

    const row_parameters<Logit>& p_;
    index_t row_;
    row_memory& memory_;
};

template <row_reading Reading, class Logit>
UNMASK_KERNEL(row_threads, 4)
void row_kernel(row_parameters<Logit> p) {
    if (p.count == nullptr || device::block() < *p.count) {
        row_reader<Reading, Logit>(p, device::block())();
    }
}

} // namespace detail::cuda
UNMASK_NAMESPACE_END
